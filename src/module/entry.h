/* SPDX-License-Identifier: MIT */
/* The three names that the module exports; everything else is found through them. */
#pragma once

#include "base/compiler.h"
#include "proto/pkcs11.h"

CHY_PUBLIC CK_C_GetFunctionList C_GetFunctionList;
CHY_PUBLIC CK_C_GetInterfaceList C_GetInterfaceList;
CHY_PUBLIC CK_C_GetInterface C_GetInterface;
