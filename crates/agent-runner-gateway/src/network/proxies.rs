//! Which proxy is asked in place of a provider.

use std::{ffi::OsString, fmt, net::IpAddr};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use super::NetworkError;

/// All proxies, and who is asked without.
#[derive(Debug)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Lets through what `NO_PROXY` does not name.
    filter: Matcher,
}

/// One proxy.
#[derive(Clone, PartialEq)]
pub(super) struct Proxy {
    /// Who says so.
    variable: &'static str,
    /// Where it is, with what it wants to know.
    pub(super) url: Url,
}

impl Proxies {
    pub(super) fn find(
        find: &impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, NetworkError> {
        // The first that is set counts, also an empty one, as it does elsewhere.
        let first =
            |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, find(name)?)));
        let proxy = |names| first(names).map_or(Ok(None), |(name, url)| Proxy::parse(name, &url));
        let all = proxy(["ALL_PROXY", "all_proxy"])?;
        let none = first(["NO_PROXY", "no_proxy"]).map(|(_, hosts)| hosts).unwrap_or_default();
        let none = none.to_string_lossy().into_owned();
        // The matcher does not apply it to addresses.
        let is_all = none.split(',').any(|host| host.trim() == "*");
        let filter = Matcher::builder().all(if is_all { "" } else { "http://proxy" });
        Ok(Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?.or_else(|| all.clone()),
            https: proxy(["HTTPS_PROXY", "https_proxy"])?.or(all),
            filter: filter.no(none).build(),
        })
    }

    /// Whether there is no proxy at all.
    pub(super) const fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The proxy for a URL. A proxy is for the world outside, and not for this machine.
    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let proxy = proxy.as_ref()?;
        let is_outside = !is_loopback(url.host_str()?);
        let uri = url.as_str().parse().ok()?;
        (is_outside && self.filter.intercept(&uri).is_some()).then_some(proxy)
    }
}

impl Proxy {
    fn parse(variable: &'static str, url: &OsString) -> Result<Option<Self>, NetworkError> {
        let error = |problem| Err(NetworkError::Proxy { variable, problem });
        let Some(url) = url.to_str() else { return error("it is not Unicode") };
        let url = url.trim();
        if url.is_empty() {
            return Ok(None);
        }
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let Ok(mut url) = Url::parse(&url) else { return error("it is no URL") };
        match url.scheme() {
            "http" | "https" => (),
            // They have no usual port of their own in URLs.
            "socks4" | "socks4a" | "socks5" | "socks5h" if url.host().is_some() => {
                let port = url.port().unwrap_or(1080);
                url.set_port(Some(port)).ok();
            }
            _ => return error("it starts with http://, https:// or socks5://"),
        }
        Ok(Some(Self { variable, url }))
    }

    /// The URL without user and password.
    fn shown_url(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", self.url.scheme())
    }

    pub(super) const fn variable(&self) -> &'static str {
        self.variable
    }
}

/// Its name for people, which has no password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.shown_url(), self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.variable, self.shown_url())
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let ip = host.parse::<IpAddr>();
    ip.map_or(host == "localhost" || host.ends_with(".localhost"), |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, NetworkError> {
        Proxies::find(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    /// What is asked in place of a URL.
    #[track_caller]
    fn check(variables: &[(&str, &str)], url: &str, expected: Option<&str>) {
        let proxies = proxies(variables).unwrap();
        let found = proxies.of(&url.parse().unwrap()).map(|proxy| proxy.url.as_str().to_owned());
        assert_eq!(found.as_deref(), expected, "{url} with {variables:?}");
    }

    #[test]
    fn variables_name_proxies() {
        let both = [("HTTP_PROXY", "http://plain:1"), ("HTTPS_PROXY", "http://u:p%40@tls:2")];
        check(&both, "https://api.anthropic.com/v1", Some("http://u:p%40@tls:2/"));
        check(&both, "http://proxy.example/v1", Some("http://plain:1/"));
        check(&both[..1], "https://api.anthropic.com", None);
        check(&[("https_proxy", "small:3128")], "https://a.b", Some("http://small:3128/"));
        check(&[("http_proxy", "http://small")], "http://a.b", Some("http://small/"));
        let all = [("ALL_PROXY", "socks5h://all"), ("HTTP_PROXY", "http://plain")];
        check(&all, "https://a.b", Some("socks5h://all:1080"));
        check(&all, "http://a.b", Some("http://plain/"));
        let capital = [("HTTPS_PROXY", ""), ("https_proxy", "http://small")];
        check(&capital, "https://a.b", None);
        check(&[("HTTPS_PROXY", " ")], "https://a.b", None);
    }

    #[test]
    fn some_hosts_are_asked_without() {
        let proxy = ("ALL_PROXY", "http://proxy:1");
        for own in
            ["http://127.0.0.1:80", "https://localhost", "http://[::1]:9", "http://a.localhost"]
        {
            check(&[proxy], own, None);
        }
        let none = ("NO_PROXY", "intern.example, 10.0.0.0/8");
        for own in ["https://intern.example", "https://llm.intern.example:8443", "http://10.1.2.3"]
        {
            check(&[proxy, none], own, None);
            check(&[proxy, ("no_proxy", none.1)], own, None);
            check(&[proxy, ("NO_PROXY", "*")], own, None);
            check(&[proxy], own, Some("http://proxy:1/"));
        }
        check(&[proxy, none], "https://notintern.example", Some("http://proxy:1/"));
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_password() {
        for bad in [
            "ftp://u:secret@proxy",
            "http://u:secret@",
            "http://u:secret@a b",
            "http://u:secret@p:port",
        ] {
            let error = proxies(&[("HTTPS_PROXY", bad)]).unwrap_err().to_string();
            assert!(error.contains("'HTTPS_PROXY' names no proxy"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let good = proxies(&[("HTTPS_PROXY", "http://u:secret@proxy:1")]).unwrap();
        assert!(!format!("{good:?}").contains("secret"), "{good:?}");
        let proxy = good.of(&"https://a.b".parse().unwrap()).unwrap();
        assert_eq!(proxy.to_string(), "the proxy http://proxy:1 (HTTPS_PROXY)");
    }
}
