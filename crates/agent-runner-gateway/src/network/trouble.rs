//! Why a provider cannot be reached, and what to do about it.

use std::{error::Error, fmt, io, time::Duration};

use reqwest::Url;
use rustls::CertificateError;

use super::{proxies::Proxy, roots::Trust};

/// A provider could not be reached, through no fault of a key's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreachable {
    /// Why, and what to do, for people. It has neither key nor password.
    pub why: String,
    /// Whether it stays so until a person does something.
    pub lasts: bool,
}

impl Unreachable {
    /// Something that may be over soon.
    pub(crate) fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), lasts: false }
    }

    fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), lasts: true }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

pub(super) fn explain(
    proxy: Option<&Proxy>,
    trust: &Trust,
    patience: Duration,
    url: &Url,
    error: reqwest::Error,
) -> Unreachable {
    let host = url.host_str().unwrap_or_default();
    if let Some(problem) = certificate_problem(&error) {
        let mut why = certificate(host, trust, problem);
        if let Some(proxy) = proxy {
            why = format!("{why} ({proxy} may have put its own in place of it)");
        }
        return Unreachable::lasting(why);
    }
    let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
    // A URL may have a secret.
    let text = describe(&error.without_url());
    match proxy {
        Some(proxy) if text.contains("proxy authorization required") => unauthenticated(proxy),
        Some(proxy) if text.contains("tunnel error: unsuccessful") => {
            Unreachable::passing(format!("{proxy} refused to connect to {host}"))
        }
        Some(proxy) if is_connect && is_timeout => Unreachable::passing(format!(
            "{proxy} made no connection to {host} within {} s",
            patience.as_secs_f64()
        )),
        Some(proxy) => Unreachable::passing(format!("through {proxy}: {text}")),
        None if is_connect && is_timeout => Unreachable::passing(format!(
            "{host} took no connection within {} s",
            patience.as_secs_f64()
        )),
        None => Unreachable::passing(text),
    }
}

/// The proxy wants to know who asks.
pub(super) fn unauthenticated(proxy: &Proxy) -> Unreachable {
    let variable = proxy.variable();
    let has_password = proxy.url.password().is_some() || !proxy.url.username().is_empty();
    let what = if has_password {
        format!("does not take the user and the password that {variable} has")
    } else {
        format!("asks for a user and a password: {variable}=http://USER:PASSWORD@HOST:PORT")
    };
    Unreachable::lasting(format!("{proxy} {what}"))
}

fn certificate(host: &str, trust: &Trust, problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let what = format!("the certificate of {host} is from nobody that is trusted here");
            if trust.replaces() {
                let places = trust.places();
                format!("{what}: only what is in {places} is, and it is not there")
            } else {
                format!(
                    "{what}: if it is your company's, install its CA, or name its file in NODE_EXTRA_CA_CERTS"
                )
            }
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate that {host} shows is for another host: is the base URL right?")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired, unless this machine's clock is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet: is this machine's clock right?")
        }
        other => format!("the certificate of {host} cannot be used: {other}"),
    }
}

/// What is wrong with a certificate, if that is it.
fn certificate_problem(error: &reqwest::Error) -> Option<&CertificateError> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        // What is in such an error is not its source, but that one's source is.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn Error + 'static));
        let tls = inner.unwrap_or(error).downcast_ref::<rustls::Error>();
        if let Some(rustls::Error::InvalidCertificate(problem)) = tls {
            return Some(problem);
        }
        cause = inner.and_then(|inner| inner.is::<io::Error>().then_some(inner)).or(error.source());
    }
    None
}

/// What went wrong, with all its causes.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
