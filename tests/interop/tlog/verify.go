// SPDX-License-Identifier: MIT

// Verify checks a log in tlog-tiles layout with nothing of Chancery's: the tree and the notes are those
// of golang.org/x/mod, which Debian has as golang-golang-x-mod-dev.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run verify.go FOLDER VKEY [RECEIPT...]
//
// FOLDER holds checkpoint, tile/<level>/... and tile/entries/...; a RECEIPT is a tlog-proof of one of its
// entries. It exits with 0 if everything holds, and otherwise says what does not and exits with 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	hashBytes  = tlog.HashSize
)

// checkpoint is the signed head of a log.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

// export is a log as it lies in a folder; hashes are in the order of tlog.StoredHashes.
type export struct {
	folder  string
	entries [][]byte
	hashes  []tlog.Hash
}

func (e *export) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(e.hashes)) {
			return nil, fmt.Errorf("no hash %d is stored", x)
		}
		list[i] = e.hashes[x]
	}
	return list, nil
}

func openCheckpoint(signed []byte, verifier note.Verifier) (checkpoint, error) {
	var cp checkpoint
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return cp, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return cp, fmt.Errorf("the checkpoint is not one of %s", verifier.Name())
	}
	cp.origin = lines[0]
	if cp.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return cp, err
	}
	cp.root, err = tlog.ParseHash(lines[2])
	return cp, err
}

func indexPath(n int64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return path
}

// readTile reads tile n of the kind, as wide as a log makes it that has `count` things of the kind.
func (e *export) readTile(kind string, n, count int64) ([]byte, int64, error) {
	path := filepath.Join(e.folder, "tile", kind, indexPath(n))
	width := count - n*tileWidth
	if width >= tileWidth {
		width = tileWidth
	} else {
		path += ".p/" + strconv.FormatInt(width, 10)
	}
	data, err := os.ReadFile(path)
	return data, width, err
}

func (e *export) readEntries(size int64) error {
	for n := int64(0); n*tileWidth < size; n++ {
		bundle, width, err := e.readTile("entries", n, size)
		if err != nil {
			return err
		}
		for i := int64(0); i < width; i++ {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("entry bundle %d is cut off", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			e.entries = append(e.entries, bundle[2:end])
			bundle = bundle[end:]
		}
		if len(bundle) != 0 {
			return fmt.Errorf("entry bundle %d has bytes behind its entries", n)
		}
	}
	for i, entry := range e.entries {
		hashes, err := tlog.StoredHashes(int64(i), entry, e)
		if err != nil {
			return err
		}
		e.hashes = append(e.hashes, hashes...)
	}
	return nil
}

// checkTiles compares every tile with what the entries give.
func (e *export) checkTiles(size int64) (int, error) {
	tiles := 0
	for level := 0; size>>(uint(level)*tileHeight) > 0; level++ {
		count := size >> (uint(level) * tileHeight)
		for n := int64(0); n*tileWidth < count; n++ {
			data, width, err := e.readTile(strconv.Itoa(level), n, count)
			if err != nil {
				return tiles, err
			}
			if int64(len(data)) != width*hashBytes {
				return tiles, fmt.Errorf("tile %d of level %d has %d bytes", n, level, len(data))
			}
			for i := int64(0); i < width; i++ {
				index := tlog.StoredHashIndex(level*tileHeight, n*tileWidth+i)
				if !bytes.Equal(data[i*hashBytes:(i+1)*hashBytes], e.hashes[index][:]) {
					return tiles, fmt.Errorf("hash %d of tile %d, level %d, is not that of the entries",
						i, n, level)
				}
			}
			tiles++
		}
	}
	return tiles, nil
}

func (e *export) checkRecords(cp checkpoint) error {
	for i := range e.entries {
		proof, err := tlog.ProveRecord(cp.size, int64(i), e)
		if err != nil {
			return err
		}
		hash := tlog.RecordHash(e.entries[i])
		if err := tlog.CheckRecord(proof, cp.size, cp.root, int64(i), hash); err != nil {
			return fmt.Errorf("entry %d: %v", i, err)
		}
	}
	return nil
}

// parseReceipt takes a tlog-proof apart: its index, its hashes and its signed checkpoint.
func parseReceipt(data []byte) (int64, tlog.RecordProof, []byte, error) {
	head, signed, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, nil, nil, fmt.Errorf("it is no tlog-proof")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return 0, nil, nil, fmt.Errorf("it has no index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return 0, nil, nil, err
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != hashBytes {
			return 0, nil, nil, fmt.Errorf("%q is no hash", line)
		}
		var hash tlog.Hash
		copy(hash[:], raw)
		proof = append(proof, hash)
	}
	return index, proof, signed, nil
}

// checkReceipt checks a receipt by itself, and that its checkpoint is an earlier head of this log.
func (e *export) checkReceipt(path string, now checkpoint, verifier note.Verifier) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	index, proof, signed, err := parseReceipt(data)
	if err != nil {
		return err
	}
	then, err := openCheckpoint(signed, verifier)
	if err != nil {
		return err
	}
	if index < 0 || index >= int64(len(e.entries)) {
		return fmt.Errorf("the log has no entry %d", index)
	}
	hash := tlog.RecordHash(e.entries[index])
	if err := tlog.CheckRecord(proof, then.size, then.root, index, hash); err != nil {
		return err
	}
	growth, err := tlog.ProveTree(now.size, then.size, e)
	if err != nil {
		return err
	}
	return tlog.CheckTree(growth, now.size, now.root, then.size, then.root)
}

func run(folder, vkey string, receipts []string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	cp, err := openCheckpoint(signed, verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %v", err)
	}
	e := &export{folder: folder}
	if err := e.readEntries(cp.size); err != nil {
		return err
	}
	root, err := tlog.TreeHash(cp.size, e)
	if err != nil {
		return err
	}
	if root != cp.root {
		return fmt.Errorf("the entries give the root %v, the checkpoint says %v", root, cp.root)
	}
	tiles, err := e.checkTiles(cp.size)
	if err != nil {
		return err
	}
	if err := e.checkRecords(cp); err != nil {
		return err
	}
	for _, path := range receipts {
		if err := e.checkReceipt(path, cp, verifier); err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
	}
	fmt.Printf("%s: %d entries, %d tiles and %d receipts verified\n", cp.origin, cp.size, tiles,
		len(receipts))
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verify FOLDER VKEY [RECEIPT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}
