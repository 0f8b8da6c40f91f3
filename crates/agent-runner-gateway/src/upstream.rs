//! The client that talks to providers.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How long a connection to a provider may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(60);

/// Returns a client as requests to providers need it.
///
/// It speaks HTTP/1.1 and 2, and goes through the proxies that `HTTPS_PROXY`, `HTTP_PROXY` and
/// `NO_PROXY` name. It trusts the certificates of the system, or of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`; where there are none, as in small containers, those that are built in. It
/// follows no redirect, which would carry a key to where it was not meant to go, and it changes
/// no body.
///
/// Reading the system's certificates takes some milliseconds: make one client and keep it.
///
/// # Errors
///
/// When a proxy variable is no URL.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .build()
}

fn tls() -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Whom to trust.
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
