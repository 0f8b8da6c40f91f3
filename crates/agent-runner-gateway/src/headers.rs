//! Which headers go through, in both directions.

use agent_runner_credentials::ApiKey;
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use memchr::memmem;

use crate::route::Place;

/// Headers that are about one connection, and not about what goes through it (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a client must not send on: what it proves itself with, and for whom it asks. A key brings
/// its own organisation.
const CLIENTS_OWN: [&str; 10] = [
    "authorization",
    "cookie",
    "forwarded",
    "openai-organization",
    "openai-project",
    "proxy-authorization",
    "x-api-key",
    "x-forwarded-for",
    "x-goog-api-key",
    "x-goog-user-project",
];

/// What the gateway says itself.
const REPLACED: [HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::EXPECT, header::ACCEPT_ENCODING];

/// What is only between the provider and whoever has the key.
const PROVIDERS_OWN: [&str; 4] =
    ["alt-svc", "set-cookie", "strict-transport-security", "www-authenticate"];

/// The headers to send on. Answers are asked for as they are, not compressed, since their usage
/// has to be read.
pub(crate) fn to_provider(client: &HeaderMap) -> HeaderMap {
    let mut headers = without(client, &CLIENTS_OWN);
    for name in REPLACED {
        headers.remove(name);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// Puts the key where the client put its token, but never into a URL, which others write down.
pub(crate) fn lend(headers: &mut HeaderMap, place: Place, key: &ApiKey) {
    let text = key.expose();
    let is_oauth = text.starts_with("sk-ant-oat");
    let (name, value) = match place {
        _ if is_oauth => bearer(text),
        Place::Bearer => bearer(text),
        Place::XApiKey => (HeaderName::from_static("x-api-key"), text.to_owned()),
        Place::XGoogApiKey | Place::Query => {
            (HeaderName::from_static("x-goog-api-key"), text.to_owned())
        }
    };
    let mut value = HeaderValue::from_str(&value).expect("a key has only graphic characters");
    value.set_sensitive(true);
    headers.insert(name, value);
}

fn bearer(key: &str) -> (HeaderName, String) {
    (header::AUTHORIZATION, format!("Bearer {key}"))
}

/// The headers to give back.
pub(crate) fn to_client(provider: &HeaderMap, key: &ApiKey) -> HeaderMap {
    let mut headers = without(provider, &PROVIDERS_OWN);
    let key = key.expose().as_bytes();
    let leaks: Vec<_> = headers
        .iter()
        .filter(|(_, value)| memmem::find(value.as_bytes(), key).is_some())
        .map(|(name, _)| name.clone())
        .collect();
    for name in leaks {
        headers.remove(name);
    }
    headers
}

/// All but those of one connection, those that `connection` names, and these.
fn without(all: &HeaderMap, these: &[&str]) -> HeaderMap {
    let mut headers = all.clone();
    let named = all.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    for name in named.flat_map(|names| names.split(',')) {
        if let Ok(name) = name.trim().parse::<HeaderName>() {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    for name in these {
        headers.remove(*name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in pairs {
            all.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        all
    }

    #[test]
    fn what_is_the_clients_own_stays_here() {
        let client = headers(&[
            ("host", "127.0.0.1"),
            ("authorization", "Bearer t"),
            ("x-api-key", "t"),
            ("x-goog-api-key", "t"),
            ("cookie", "a=b"),
            ("connection", "x-secret, keep-alive"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("accept-encoding", "gzip"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("user-agent", "cli"),
            ("openai-organization", "o"),
        ]);
        let mut sent = to_provider(&client);
        let key = ApiKey::new("sk-real").unwrap();
        lend(&mut sent, Place::XApiKey, &key);
        let expected = headers(&[
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("user-agent", "cli"),
            ("accept-encoding", "identity"),
            ("x-api-key", "sk-real"),
        ]);
        assert_eq!(sent, expected);
        assert!(!format!("{sent:?}").contains("sk-real"), "a key does not print");
    }

    #[test]
    fn a_key_goes_where_the_token_was() {
        let check = |place, key: &str, name: &str, value: &str| {
            let mut headers = HeaderMap::new();
            lend(&mut headers, place, &ApiKey::new(key).unwrap());
            assert_eq!(headers.get(name).unwrap(), value);
            assert_eq!(headers.len(), 1);
        };
        check(Place::Bearer, "sk-a", "authorization", "Bearer sk-a");
        check(Place::XApiKey, "sk-ant-oat01-a", "authorization", "Bearer sk-ant-oat01-a");
        check(Place::Query, "AIza", "x-goog-api-key", "AIza");
    }

    #[test]
    fn a_key_that_comes_back_is_taken_out() {
        let provider = headers(&[
            ("content-type", "text/event-stream"),
            ("x-echo", "key=sk-real;"),
            ("set-cookie", "a=b"),
            ("request-id", "r"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
        ]);
        let given = to_client(&provider, &ApiKey::new("sk-real").unwrap());
        assert_eq!(given, headers(&[("content-type", "text/event-stream"), ("request-id", "r")]));
    }
}
