//! Which provider a request is for, who asks, and what is sent on of it.

use hyper::{
    HeaderMap, Uri,
    header::{self, HeaderName},
};

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    Anthropic,
    OpenAi,
    Gemini,
}

/// Where a client put its token; the key goes to the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `x-api-key`.
    XApiKey,
    /// `authorization: Bearer`.
    Bearer,
    /// `x-goog-api-key`.
    XGoogApiKey,
    /// `?key=`.
    Query,
}

/// A request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Whose key it takes.
    pub(crate) provider: String,
    pub(crate) dialect: Dialect,
    /// What comes after the provider's base URL.
    pub(crate) path: String,
    /// Without a key.
    pub(crate) query: Option<String>,
}

/// A token as it was presented.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Presented {
    pub(crate) token: String,
    pub(crate) place: Place,
}

const ANTHROPIC: &str = "://api.anthropic.com";
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

impl Route {
    /// Reads where a request wants to go: `/PROVIDER/…`, or a path that only one provider has.
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let path = uri.path();
        if !is_plain(path) {
            return None;
        }
        let (first, rest) = split(path);
        let (provider, rest) = match first {
            "v1beta" | "v1beta1" | "v1alpha" | "upload" => ("gemini", path),
            "v1" if is_anthropic(path, headers) => ("anthropic", path),
            "v1" if is_gemini(path, headers) => ("gemini", path),
            "v1" => ("openai", path),
            name if is_name(name) => (name, rest),
            _ => return None,
        };
        let dialect = Dialect::of(provider, rest, headers);
        Some(Self {
            provider: provider.to_owned(),
            dialect,
            path: dialect.below_base_url(rest),
            query: uri.query().map(without_key).filter(|query| !query.is_empty()),
        })
    }

    /// Whether the answer comes from a model, so that it has a usage.
    pub(crate) fn is_generation(&self) -> bool {
        let path = self.path.as_str();
        match self.dialect {
            Dialect::Anthropic => path.ends_with("/messages"),
            Dialect::OpenAi => ["/completions", "/responses"].iter().any(|end| path.ends_with(end)),
            Dialect::Gemini => path.ends_with("enerateContent"),
        }
    }

    /// Where the key goes: where the client had its token, unless the provider takes it elsewhere
    /// only. A good key in a wrong place is refused, and then taken for a lost one.
    pub(crate) fn place(&self, presented: Place, base_url: &str) -> Place {
        let is_compatible = self.path.contains("/openai/") || self.path.ends_with("/completions");
        match (self.provider.as_str(), self.dialect) {
            ("openai" | "openrouter", _) => Place::Bearer,
            (_, Dialect::Gemini) if self.path.contains("/openai/") => Place::Bearer,
            (_, Dialect::Gemini) => Place::XGoogApiKey,
            ("anthropic", _) if base_url.contains(ANTHROPIC) && !is_compatible => Place::XApiKey,
            (_, Dialect::Anthropic) if !matches!(presented, Place::Bearer) => Place::XApiKey,
            _ => presented,
        }
    }

    /// The model, where the path names it.
    pub(crate) fn model(&self) -> Option<&str> {
        let (_, rest) = self.path.split_once("/models/")?;
        (self.dialect == Dialect::Gemini).then(|| rest.split([':', '/']).next())?
    }

    /// The path with another model.
    pub(crate) fn path_with(&self, model: Option<&str>) -> String {
        match (self.model(), model) {
            (Some(old), Some(new)) if is_plain(new) => {
                self.path.replacen(&format!("/models/{old}"), &format!("/models/{new}"), 1)
            }
            _ => self.path.clone(),
        }
    }
}

impl Dialect {
    /// A path as it goes to a provider. Base URLs of OpenAI's kind end with the version, others' do
    /// not, and clients have it either way, or twice: in their base URL and from their SDK.
    fn below_base_url(self, path: &str) -> String {
        let path = once(path);
        let below = |version| path.strip_prefix(version).filter(|it: &&str| it.starts_with('/'));
        match self {
            Self::OpenAi => below("/v1").unwrap_or(path).to_owned(),
            Self::Anthropic if below("/v1").is_none() => format!("/v1{path}"),
            Self::Gemini if path.starts_with("/models/") => format!("/v1beta{path}"),
            _ => path.to_owned(),
        }
    }

    /// What a path and the headers show; a name that is known decides where they do not.
    fn of(provider: &str, path: &str, headers: &HeaderMap) -> Self {
        if provider == "gemini" || headers.contains_key(X_GOOG_API_KEY) {
            Self::Gemini
        } else if provider == "anthropic" || is_anthropic(path, headers) {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }
}

impl Presented {
    /// Finds the token, wherever clients put it.
    pub(crate) fn find(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        let places = [
            (Place::XApiKey, text(X_API_KEY)),
            (Place::XGoogApiKey, text(X_GOOG_API_KEY)),
            (Place::Bearer, text(header::AUTHORIZATION).and_then(bearer)),
            (Place::Query, uri.query().and_then(key)),
        ];
        let found = places.into_iter().find_map(|(place, token)| Some((place, token?)));
        found.map(|(place, token)| Self { token: token.trim().to_owned(), place })
    }
}

fn is_anthropic(path: &str, headers: &HeaderMap) -> bool {
    path.contains("/messages") || headers.contains_key("anthropic-version")
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn key(query: &str) -> Option<&str> {
    query.split('&').find_map(|part| part.strip_prefix("key="))
}

fn without_key(query: &str) -> String {
    let parts: Vec<_> = query.split('&').filter(|part| !part.starts_with("key=")).collect();
    parts.join("&")
}

/// What only Gemini has below `/v1/`.
fn is_gemini(path: &str, headers: &HeaderMap) -> bool {
    let has_method = path.starts_with("/v1/models/") && path.contains(':');
    has_method || headers.contains_key(X_GOOG_API_KEY)
}

/// A path that begins with one version, the last one if there are several.
fn once(path: &str) -> &str {
    const VERSIONS: [&str; 5] = ["v1", "v1beta", "v1beta1", "v1alpha", "upload"];
    let (first, rest) = split(path);
    let is_twice = first.starts_with('v') && VERSIONS.contains(&split(rest).0);
    if is_twice && VERSIONS.contains(&first) { once(rest) } else { path }
}

/// `/a/b/c` is `a` and `/b/c`.
fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find('/').unwrap_or(path.len()))
}

/// The name of a provider.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether a path stays below where it is put.
fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let tricks = ["..", "%2e", "%2f", "%5c", "\\", "//", "@", "?", "#"];
    !tricks.iter().any(|trick| lower.contains(trick))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check(uri: &str, with: &[(&'static str, &str)], expected: Option<(&str, Dialect, &str)>) {
        let route = Route::of(&uri.parse().unwrap(), &headers(with));
        let found = route.as_ref().map(|it| (it.provider.as_str(), it.dialect, it.path.as_str()));
        assert_eq!(found, expected, "{uri}");
    }

    #[test]
    fn paths_lead_to_providers() {
        use Dialect::{Anthropic, Gemini, OpenAi};
        check(
            "/anthropic/v1/messages?beta=true",
            &[],
            Some(("anthropic", Anthropic, "/v1/messages")),
        );
        check(
            "/v1/messages/count_tokens",
            &[],
            Some(("anthropic", Anthropic, "/v1/messages/count_tokens")),
        );
        let version = [("anthropic-version", "2023-06-01")];
        check("/v1/models", &version, Some(("anthropic", Anthropic, "/v1/models")));
        check("/v1/models", &[], Some(("openai", OpenAi, "/models")));
        check("/openai/v1/responses", &[], Some(("openai", OpenAi, "/responses")));
        check("/openai/responses", &[], Some(("openai", OpenAi, "/responses")));
        check("/v1/chat/completions", &[], Some(("openai", OpenAi, "/chat/completions")));
        check(
            "/openrouter/v1/chat/completions",
            &[],
            Some(("openrouter", OpenAi, "/chat/completions")),
        );
        check("/anthropic/messages", &[], Some(("anthropic", Anthropic, "/v1/messages")));
        let path = "/models/gemini-9:countTokens";
        check(&format!("/gemini{path}"), &[], Some(("gemini", Gemini, &format!("/v1beta{path}"))));
        check("/my-proxy/v1/messages", &[], Some(("my-proxy", Anthropic, "/v1/messages")));
        let path = "/v1beta/models/gemini-9:streamGenerateContent";
        check(&format!("/gemini{path}?alt=sse"), &[], Some(("gemini", Gemini, path)));
        check(path, &[], Some(("gemini", Gemini, path)));
        check("/anthropic/v1/v1/messages", &[], Some(("anthropic", Anthropic, "/v1/messages")));
        check("/openai/v1/v1/responses", &[], Some(("openai", OpenAi, "/responses")));
        check("/openai/v1/models/v1", &[], Some(("openai", OpenAi, "/models/v1")));
        for version in ["v1", "v1beta", "v1alpha"] {
            let path = format!("/{version}/models/gemini-9:generateContent");
            for base in ["", "/gemini", "/gemini/v1beta"] {
                check(&format!("{base}{path}"), &[], Some(("gemini", Gemini, &path)));
            }
        }
        check("/v1/models", &[("x-goog-api-key", "t")], Some(("gemini", Gemini, "/v1/models")));
        for base in ["", "/gemini", "/gemini/v1beta"] {
            let path = "/upload/v1beta/files";
            check(&format!("{base}{path}"), &[], Some(("gemini", Gemini, path)));
        }
        for trick in
            ["/", "/anthropic/../x", "/anthropic/%2E%2e/x", "/a//b", "/a/\\b", "/a@b/c", "/%41/b"]
        {
            check(trick, &[], None);
        }
    }

    #[test]
    fn tokens_are_found_wherever_clients_put_them() {
        let find = |uri: &str, with: &[(&'static str, &str)]| {
            Presented::find(&uri.parse().unwrap(), &headers(with)).map(|it| (it.token, it.place))
        };
        assert_eq!(find("/", &[("x-api-key", "t")]), Some(("t".into(), Place::XApiKey)));
        assert_eq!(find("/", &[("authorization", "bearer t")]), Some(("t".into(), Place::Bearer)));
        assert_eq!(find("/", &[("x-goog-api-key", "t")]), Some(("t".into(), Place::XGoogApiKey)));
        assert_eq!(find("/?alt=sse&key=t", &[]), Some(("t".into(), Place::Query)));
        assert_eq!(find("/", &[("authorization", "Basic t")]), None);
        let route =
            Route::of(&"/gemini/v1beta/models?key=t&alt=sse".parse().unwrap(), &headers(&[]));
        assert_eq!(route.unwrap().query.as_deref(), Some("alt=sse"), "no token is sent on");
    }

    #[test]
    fn a_key_goes_where_its_provider_takes_it() {
        use Place::{Bearer, Query, XApiKey, XGoogApiKey};
        let check = |path: &str, base_url: &str, expected: [Place; 4]| {
            let route = Route::of(&path.parse().unwrap(), &headers(&[])).unwrap();
            let presented = [Bearer, XApiKey, XGoogApiKey, Query];
            let places = presented.map(|presented| route.place(presented, base_url));
            assert_eq!(places, expected, "{path}");
        };
        let home = "https://api.anthropic.com";
        check("/anthropic/v1/messages", home, [XApiKey; 4]);
        check("/anthropic/v1/chat/completions", home, [Bearer, XApiKey, XApiKey, XApiKey]);
        let elsewhere = "https://models.example.com/anthropic";
        check("/anthropic/v1/messages", elsewhere, [Bearer, XApiKey, XApiKey, XApiKey]);
        check("/openai/v1/responses", "https://api.openai.com/v1", [Bearer; 4]);
        let google = "https://generativelanguage.googleapis.com";
        check("/gemini/v1/models/gemini-9:generateContent", google, [XGoogApiKey; 4]);
        check("/gemini/v1beta/openai/chat/completions", google, [Bearer; 4]);
        check("/mine/v1/embeddings", elsewhere, [Bearer, XApiKey, XGoogApiKey, Query]);
    }

    #[test]
    fn a_model_in_the_path_can_be_another() {
        let uri = "/gemini/v1beta/models/gemini-9:generateContent".parse().unwrap();
        let route = Route::of(&uri, &headers(&[])).unwrap();
        assert_eq!(route.model(), Some("gemini-9"));
        assert!(route.is_generation());
        assert_eq!(route.path_with(Some("gemini-10")), "/v1beta/models/gemini-10:generateContent");
        assert_eq!(route.path_with(Some("../x")), route.path);
        assert_eq!(route.path_with(None), route.path);
    }
}
