//! Whom to trust.

use std::{fmt::Write as _, path::PathBuf};

use rustls::RootCertStore;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

use super::NetworkError;

/// The places of certificates that somebody named.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust {
    /// `SSL_CERT_FILE`.
    pub(super) file: Option<PathBuf>,
    /// `SSL_CERT_DIR`.
    pub(super) folders: Vec<PathBuf>,
    /// `NODE_EXTRA_CA_CERTS`.
    pub(super) more: Option<PathBuf>,
}

impl Trust {
    /// The certificates. Single ones that make no sense are passed over: there are hundreds.
    pub(super) fn roots(&self) -> Result<RootCertStore, NetworkError> {
        let mut roots = RootCertStore::empty();
        let found = if self.replaces() { self.named() } else { load_native_certs() };
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() && self.replaces() {
            let problem = found.errors.first().map(ToString::to_string);
            let problem = problem.unwrap_or_else(|| "nothing begins with BEGIN CERTIFICATE".into());
            return Err(NetworkError::Certificates { places: self.places(), problem });
        }
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Some(more) = &self.more {
            // Node goes on without it as well.
            roots.add_parsable_certificates(load_certs_from_paths(Some(more), None).certs);
        }
        Ok(roots)
    }

    /// Whether the system's own are not trusted.
    pub(super) const fn replaces(&self) -> bool {
        self.file.is_some() || !self.folders.is_empty()
    }

    /// The variables with their paths.
    pub(super) fn places(&self) -> String {
        let mut places = String::new();
        let folders = self.folders.iter().map(|folder| ("SSL_CERT_DIR", folder));
        for (name, path) in self.file.iter().map(|file| ("SSL_CERT_FILE", file)).chain(folders) {
            let and = if places.is_empty() { "" } else { " and " };
            write!(places, "{and}'{}' ({name})", path.display())
                .expect("a string takes everything");
        }
        places
    }

    fn named(&self) -> CertificateResult {
        let mut all = load_certs_from_paths(self.file.as_deref(), None);
        for folder in &self.folders {
            let found = load_certs_from_paths(None, Some(folder));
            all.certs.extend(found.certs);
            all.errors.extend(found.errors);
        }
        all
    }
}
