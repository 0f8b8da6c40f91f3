//! How providers are reached: through which proxies, and whom to trust.

mod proxies;
mod roots;
mod trouble;

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Client, Url};
use rustls::{ClientConfig, crypto::ring};

use self::{proxies::Proxies, roots::Trust};
pub use trouble::Unreachable;

/// How long a connection to a provider may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(60);

/// How providers are reached: through which proxies, and whom to trust.
///
/// | variable | what it says |
/// |---|---|
/// | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` | a proxy: `http://`, `https://` or `socks5://`, with `USER:PASSWORD@` where it asks for them |
/// | `NO_PROXY` | hosts, domains and networks that are asked without; this machine always is |
/// | `SSL_CERT_FILE`, `SSL_CERT_DIR` | the certificates to trust, in place of the system's |
/// | `NODE_EXTRA_CA_CERTS` | more of them, as agents that run on Node know it |
///
/// Names of proxies may be in small letters. Where the system has no certificates, as in small
/// containers, those that are built in are trusted.
#[derive(Clone)]
pub struct Network {
    proxies: Arc<Proxies>,
    trust: Trust,
    connect_timeout: Duration,
}

/// Why a variable that says how to reach providers cannot be followed. It repeats no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// What should be a proxy is none.
    #[error("variable '{variable}' names no proxy: {problem}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// What should have certificates has none.
    #[error("there is no certificate in {places}: {problem}")]
    Certificates {
        /// The variables, with their paths.
        places: String,
        /// What is wrong.
        problem: String,
    },
    /// The client could not be made of it.
    #[error("could not make a client for providers")]
    Client(#[source] reqwest::Error),
}

impl Network {
    /// What the environment of this process says.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`]. A variable that cannot be followed is not passed over: without its
    /// proxy or its certificates no provider would be reached, and nobody would know why.
    pub fn from_env() -> Result<Self, NetworkError> {
        Self::from_variables(std::env::var_os)
    }

    /// What these variables say.
    ///
    /// # Errors
    ///
    /// As with [`from_env`](Self::from_env).
    pub fn from_variables(
        find: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, NetworkError> {
        let proxies = Arc::new(Proxies::find(&find)?);
        let path = |name| find(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let folders = find("SSL_CERT_DIR").unwrap_or_default();
        let folders = std::env::split_paths(&folders).filter(|it| !it.as_os_str().is_empty());
        let trust = Trust {
            file: path("SSL_CERT_FILE"),
            folders: folders.collect(),
            more: path("NODE_EXTRA_CA_CERTS"),
        };
        Ok(Self { proxies, trust, connect_timeout: CONNECT })
    }

    /// Sets how long a connection may take, proxies included; by default 20 seconds.
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Checks what making a client would find, as far as somebody has named certificates.
    ///
    /// # Errors
    ///
    /// As with [`client`](Self::client).
    pub fn check(&self) -> Result<(), NetworkError> {
        if self.trust.replaces() {
            self.trust.roots()?;
        }
        Ok(())
    }

    /// Makes a client as requests to providers need it.
    ///
    /// It speaks HTTP/1.1 and 2. It follows no redirect, which would carry a key to where it was
    /// not meant to go, and it changes no body. Reading certificates takes some milliseconds: make
    /// one client and keep it.
    ///
    /// # Errors
    ///
    /// When the certificates that are named cannot be read.
    pub fn client(&self) -> Result<Client, NetworkError> {
        let proxies = Arc::clone(&self.proxies);
        let client = Client::builder().no_proxy();
        // One that is asked for each request costs each request something.
        let client = if proxies.is_empty() {
            client
        } else {
            client.proxy(reqwest::Proxy::custom(move |url| Some(proxies.of(url)?.url.clone())))
        };
        client
            .tls_backend_preconfigured(self.tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .build()
            .map_err(NetworkError::Client)
    }

    /// Says why there is no answer from there, and what to do.
    pub fn explain(&self, url: &Url, error: reqwest::Error) -> Unreachable {
        trouble::explain(self.proxies.of(url), &self.trust, self.connect_timeout, url, error)
    }

    /// The proxy that is asked in place of this one wants to know who asks.
    pub(crate) fn unauthenticated(&self, url: &Url) -> Option<Unreachable> {
        self.proxies.of(url).map(trouble::unauthenticated)
    }

    fn tls(&self) -> Result<ClientConfig, NetworkError> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(self.trust.roots()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Shows proxies without their passwords.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("proxies", &self.proxies)
            .field("trust", &self.trust)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}
