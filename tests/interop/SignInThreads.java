// SPDX-License-Identifier: MIT
// Every key of SunPKCS11 signs in many threads at once, and Java's own providers verify.
//
//     java SignInThreads.java PKCS11.CFG THREADS ROUNDS
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.Security;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class SignInThreads {
    static final String[] HASHES = {"SHA256", "SHA384", "SHA512"};

    static byte[] sign(Provider provider, PrivateKey key, String algorithm, PSSParameterSpec pss,
                       byte[] data) throws Exception {
        Signature s = Signature.getInstance(algorithm, provider);
        s.initSign(key);
        if (pss != null)
            s.setParameter(pss);
        s.update(data, 0, data.length / 2); // in two parts
        s.update(data, data.length / 2, data.length - data.length / 2);
        return s.sign();
    }

    static void check(PublicKey key, String algorithm, PSSParameterSpec pss, byte[] data,
                      byte[] signature) throws Exception {
        Signature s = Signature.getInstance(algorithm, key.getAlgorithm().equals("RSA")
                                                       ? "SunRsaSign" : "SunEC");
        s.initVerify(key);
        if (pss != null)
            s.setParameter(pss);
        s.update(data);
        if (!s.verify(signature))
            throw new Exception(algorithm + ": the signature is not good");
    }

    static int once(Provider provider, PrivateKey key, PublicKey open, byte[] data)
            throws Exception {
        int n = 0;
        boolean rsa = key.getAlgorithm().equals("RSA");
        for (String hash : HASHES) {
            String algorithm = hash + (rsa ? "withRSA" : "withECDSA");
            check(open, algorithm, null, data, sign(provider, key, algorithm, null, data));
            n++;
            if (!rsa)
                continue;
            String name = hash.replace("SHA", "SHA-");
            int salt = Integer.parseInt(hash.substring(3)) / 8;
            PSSParameterSpec pss = new PSSParameterSpec(name, "MGF1", new MGF1ParameterSpec(name),
                                                        salt, 1);
            check(open, "RSASSA-PSS", pss, data, sign(provider, key, "RSASSA-PSS", pss, data));
            n++;
        }
        return n;
    }

    public static void main(String[] words) throws Exception {
        Provider provider = Security.getProvider("SunPKCS11").configure(words[0]);
        Security.addProvider(provider);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, null);
        int threads = Integer.parseInt(words[1]);
        int rounds = Integer.parseInt(words[2]);
        List<Callable<Integer>> work = new ArrayList<>();
        for (String alias : Collections.list(store.aliases())) {
            if (!store.isKeyEntry(alias))
                continue;
            PrivateKey key = (PrivateKey) store.getKey(alias, null);
            PublicKey open = store.getCertificate(alias).getPublicKey();
            System.out.println(alias + " " + key.getAlgorithm() + " chain of "
                               + store.getCertificateChain(alias).length);
            for (int i = 0; i < rounds; i++) {
                byte[] data = (alias + " " + i).getBytes();
                work.add(() -> once(provider, key, open, data));
            }
        }
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        int n = 0;
        for (Future<Integer> f : pool.invokeAll(work))
            n += f.get();
        pool.shutdown();
        System.out.println(n + " signatures");
    }
}
