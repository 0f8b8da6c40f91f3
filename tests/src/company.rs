//! A company's network: a certificate authority of its own, and a proxy that is the only way out.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::Provider;

/// A certificate authority that no system trusts.
pub struct Company(CertifiedIssuer<'static, KeyPair>);

impl Company {
    /// Makes one, and writes its certificate to a file.
    pub fn new(file: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        std::fs::write(file, issuer.pem()).expect("it can be written");
        Self(issuer)
    }

    /// A provider that proves by it to be this host.
    pub fn provider(&self, host: &str) -> Provider {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
        Provider::start_secure(Arc::new(config.expect("the certificate fits the key")))
    }
}

/// A proxy that knows one provider, whatever the name. It lives as long as the test.
pub struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";

impl Proxy {
    /// Starts one before a provider.
    pub fn start(provider: &Provider) -> Self {
        Self::start_after(provider, 0)
    }

    /// Starts one that refuses so many connections first.
    pub fn start_after(provider: &Provider, refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let proxy = Self { address, asked: Arc::default() };
        let (asked, provider) = (Arc::clone(&proxy.asked), provider.address().to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (asked, provider) = (Arc::clone(&asked), provider.clone());
                // A client that goes away is no concern of the proxy.
                thread::spawn(move || serve(client, &asked, refusals, &provider).ok());
            }
        });
        proxy
    }

    /// Its URL, with a user and this password.
    pub fn url(&self, password: &str) -> String {
        format!("http://me:{password}@{}", self.address)
    }

    /// Its URL as it may be shown.
    pub fn shown_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of what it was asked, first to last.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut client: TcpStream,
    asked: &Mutex<Vec<String>>,
    refusals: usize,
    provider: &str,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let is_tunnel = text.starts_with("CONNECT ");
    let number = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(text);
        asked.len()
    };
    if number <= refusals {
        return client.write_all(REFUSAL);
    }
    let mut server = TcpStream::connect(provider)?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to).ok());
    io::copy(&mut server, &mut client).map(drop)
}
