// SPDX-License-Identifier: MIT
// An enveloped XML signature (XML-DSig) by a key of SunPKCS11, with its certificates.
//
//     chancery exec -- java SignXml.java KEY IN.xml OUT.xml
import java.io.File;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.util.Arrays;
import java.util.List;
import javax.xml.crypto.dsig.CanonicalizationMethod;
import javax.xml.crypto.dsig.DigestMethod;
import javax.xml.crypto.dsig.Reference;
import javax.xml.crypto.dsig.SignedInfo;
import javax.xml.crypto.dsig.Transform;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMSignContext;
import javax.xml.crypto.dsig.keyinfo.KeyInfo;
import javax.xml.crypto.dsig.keyinfo.KeyInfoFactory;
import javax.xml.crypto.dsig.spec.C14NMethodParameterSpec;
import javax.xml.crypto.dsig.spec.TransformParameterSpec;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Document;

public class SignXml {
    static final String MORE = "http://www.w3.org/2001/04/xmldsig-more#";

    // What a stranger's document names is not fetched.
    static Document read(File file) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        return factory.newDocumentBuilder().parse(file);
    }

    static SignedInfo whatIsSigned(XMLSignatureFactory xml, PrivateKey key) throws Exception {
        Reference whole = xml.newReference("", xml.newDigestMethod(DigestMethod.SHA256, null),
            List.of(xml.newTransform(Transform.ENVELOPED, (TransformParameterSpec) null)), null,
            null);
        String method = key.getAlgorithm().equals("RSA") ? "rsa-sha256" : "ecdsa-sha256";
        return xml.newSignedInfo(
            xml.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE,
                                          (C14NMethodParameterSpec) null),
            xml.newSignatureMethod(MORE + method, null), List.of(whole));
    }

    public static void main(String[] words) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS11");
        store.load(null, null);
        PrivateKey key = (PrivateKey) store.getKey(words[0], null);
        if (key == null)
            throw new IllegalArgumentException("there is no key " + words[0]);

        XMLSignatureFactory xml = XMLSignatureFactory.getInstance("DOM");
        KeyInfoFactory info = xml.getKeyInfoFactory();
        KeyInfo chain = info.newKeyInfo(List.of(
            info.newX509Data(Arrays.asList(store.getCertificateChain(words[0])))));
        Document document = read(new File(words[1]));
        DOMSignContext place = new DOMSignContext(key, document.getDocumentElement());
        place.setProperty("org.jcp.xml.dsig.internal.dom.SignatureProvider", store.getProvider());
        xml.newXMLSignature(whatIsSigned(xml, key), chain).sign(place);
        TransformerFactory.newInstance().newTransformer().transform(
            new DOMSource(document), new StreamResult(new File(words[2])));
    }
}
