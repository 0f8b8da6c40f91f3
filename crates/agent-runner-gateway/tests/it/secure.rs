//! TLS before a provider, with certificates that are made for the test.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use agent_runner_gateway::{Network, Options};

/// An authority of the test's own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// What a certificate says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    Now,
    Past,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// The file that names it.
    pub(crate) fn file(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    pub(crate) fn folder(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    /// A server's settings, for these hosts.
    pub(crate) fn server(&self, hosts: &[&str], time: Time, protocol: &str) -> Arc<ServerConfig> {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        if time == Time::Past {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let mut config = config.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    }
}

/// What is before a provider, and speaks TLS. It ends when it is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    _work: JoinSet<()>,
}

impl Front {
    pub(crate) async fn start(config: Arc<ServerConfig>, behind: SocketAddr) -> Self {
        Self::serve(config, move |mut stream| async move {
            let mut provider = TcpStream::connect(behind).await.unwrap();
            drop(copy_bidirectional(&mut stream, &mut provider).await);
        })
        .await
    }

    /// Does something with each connection.
    pub(crate) async fn serve<F: Future<Output = ()> + Send + 'static>(
        config: Arc<ServerConfig>,
        work: impl Fn(tokio_rustls::server::TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(config);
        let mut all = JoinSet::new();
        all.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, work) = (acceptor.clone(), work.clone());
                connections.spawn(async move {
                    // A client that does not trust it goes away.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        work(stream).await;
                    }
                });
            }
        });
        Self { address, _work: all }
    }

    /// Its URL by a name of this machine.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

/// What is set by these variables.
pub(crate) fn options(variables: &[(&str, &str)]) -> Options {
    let find = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.into())
    };
    let mut options = Options::default();
    options.network = Some(Network::from_variables(find).unwrap());
    options
}
