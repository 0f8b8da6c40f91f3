//! Sends a request on, with one key after the other, until there is an answer to pass on.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use agent_runner_credentials::{Answer, ApiKey, End, Lent, NoneReady, Rejection, Want, rfc3339};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::{Body as _, Bytes},
    header,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Refused, Unreachable,
    answer::Refusal,
    body::Body,
    gateway::Shared,
    headers,
    intake::Intake,
    meter::Meter,
    passing::{Account, Passing},
    peek::{Nothing, collect, peek},
    route::{Place, Route},
    scrub::scrub,
    token::Door,
};

/// Faults of a server that are tried again, and the first wait before that.
const FAULTS: u32 = 3;
const FAULT_WAIT: Duration = Duration::from_millis(250);
/// How long the text of an error may take.
const ERROR_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait when all keys are busy and nobody knows for how long.
const BUSY: Duration = Duration::from_secs(5);
/// Headers that tell one conversation of a client from another.
const SESSIONS: [&str; 4] =
    ["x-claude-code-session-id", "session_id", "conversation_id", "x-session-id"];

/// A request, ready to be sent as often as it takes.
pub(crate) struct Forward<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) door: &'a Arc<Door>,
    pub(crate) route: &'a Route,
    pub(crate) place: Place,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) intake: Intake,
}

/// What came of one try.
enum Try {
    /// This is the answer.
    Done(Response<Body>),
    /// Another key may do, or the same later: the ring knows. With the answer as it came.
    Again(Option<Response<Body>>, Rejection),
    /// A fault that is nobody's, as it is told if it stays.
    Fault(Result<Response<Body>, Refusal>),
}

impl Forward<'_> {
    pub(crate) async fn run(&self) -> Result<Response<Body>, Refusal> {
        let deadline = Instant::now() + self.shared.options.hold;
        let mut faults = 0;
        let mut refused = None;
        loop {
            let lent = match self.lease(deadline).await {
                Ok(lent) => lent,
                Err(none) => return self.refuse(&none, refused),
            };
            match self.send(lent).await? {
                Try::Done(answer) => {
                    self.door.note(None);
                    return Ok(answer);
                }
                Try::Again(answer, rejection) => {
                    self.shared.stats.retried(Some(rejection));
                    refused = answer.filter(|_| rejection == Rejection::Forbidden);
                }
                Try::Fault(told)
                    if faults == FAULTS
                        || Instant::now() >= deadline
                        || !self.is_worth_a_try(&told) =>
                {
                    let unreachable = match &told {
                        Err(Refusal::Unreachable(trouble)) => Some(Unreachable {
                            lasts: trouble.lasts && !self.has_other_addresses(),
                            ..trouble.clone()
                        }),
                        _ => None,
                    };
                    let refused = |it| Refused { unreachable: Some(it), ..self.refused() };
                    self.door.note(unreachable.map(refused));
                    return told;
                }
                Try::Fault(_) => {
                    self.shared.stats.retried(None);
                    sleep(jittered(FAULT_WAIT * 2_u32.pow(faults))).await;
                    faults += 1;
                }
            }
        }
    }

    /// Waits for a key, unless it is known that none will be ready in time.
    async fn lease(&self, deadline: Instant) -> Result<Lent, NoneReady> {
        let asked = Instant::now();
        let time_left = deadline.saturating_duration_since(asked);
        let leased = self.shared.ring.lease_within(self.want(), time_left).await;
        let waited = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.stats.waited_us.fetch_add(waited, Relaxed);
        leased
    }

    /// Without a key. The provider's own word is better than ours where it is about the request.
    fn refuse(
        &self,
        none: &NoneReady,
        told: Option<Response<Body>>,
    ) -> Result<Response<Body>, Refusal> {
        self.door.note(Some(Refused { reason: none.reason, ..self.refused() }));
        let is_about_request = none.reason == Some(Rejection::Forbidden);
        let told_before = || self.shared.denials.find(self.denied()).filter(|_| is_about_request);
        told.or_else(told_before).ok_or_else(|| none_ready(none, self.shared.ring.now()))
    }

    /// What a provider denies to all keys, if it does.
    fn denied(&self) -> (&str, &str) {
        (&self.route.provider, self.model().unwrap_or_default())
    }

    fn want(&self) -> Want {
        let input = self.intake.body.len() as u64 / 4;
        let told = SESSIONS.iter().find_map(|name| self.headers.get(*name));
        // What the conversation's key has in its cache does not count there.
        let is_session = told.is_some() || self.door.caller.is_session;
        let cached = if is_session { self.door.cached.load(Relaxed).min(input) } else { 0 };
        let want = Want::call().provider(self.route.provider.as_str());
        let mut want = want.tokens(input - cached, 0).cached(cached);
        if let Some(model) = self.model() {
            want = want.model(model);
        }
        match told {
            Some(told) => want.session((self.door.number(), told.as_bytes())),
            None if self.door.caller.is_session => want.session(self.door.number()),
            None => want,
        }
    }

    fn refused(&self) -> Refused {
        let model = self.model().map(str::to_owned);
        Refused { provider: self.route.provider.clone(), model, reason: None, unreachable: None }
    }

    /// Whether another try may do better.
    fn is_worth_a_try(&self, told: &Result<Response<Body>, Refusal>) -> bool {
        match told {
            Err(Refusal::Unreachable(trouble)) => !trouble.lasts || self.has_other_addresses(),
            _ => true,
        }
    }

    /// Whether keys of this provider are used at several addresses, of which one may be reached.
    fn has_other_addresses(&self) -> bool {
        let urls: BTreeSet<_> = self.shared.ring.with(|ring, _| {
            let keys = ring.credentials().filter(|it| it.provider == self.route.provider);
            keys.map(|key| key.base_url.clone()).collect()
        });
        urls.len() > 1
    }

    fn model(&self) -> Option<&str> {
        self.intake.model.as_deref().or_else(|| self.route.model())
    }

    async fn send(&self, lent: Lent) -> Result<Try, Refusal> {
        self.check_price(lent.model())?;
        let request = self.request(&lent)?;
        let url = request.url().clone();
        self.shared.stats.sent.fetch_add(1, Relaxed);
        let sent = timeout(self.shared.options.first_byte, self.shared.client.execute(request));
        match sent.await {
            Ok(Ok(response)) if response.status().is_success() => {
                self.success(response, lent).await
            }
            Ok(Ok(response)) => match self.said_by_proxy(&response, &url) {
                Some(trouble) => {
                    lent.settle(End::Unsent);
                    Ok(Try::Fault(Err(Refusal::Unreachable(trouble))))
                }
                None => Ok(self.failure(response, lent).await),
            },
            Ok(Err(error)) => {
                let is_sent = !error.is_connect();
                let mut trouble = self.shared.network.explain(&url, error);
                let why = scrub(trouble.why.into(), &lent.credential().key);
                trouble.why = String::from_utf8_lossy(&why).into_owned();
                lent.settle(if is_sent { End::Lost } else { End::Unsent });
                Ok(Try::Fault(Err(if is_sent {
                    Refusal::Cut(trouble.why)
                } else {
                    Refusal::Unreachable(trouble)
                })))
            }
            // It may be answered, and paid for: not once more.
            Err(_) => {
                lent.settle(End::Lost);
                Err(Refusal::Silent)
            }
        }
    }

    /// Money that nobody counts is not spent.
    fn check_price(&self, model: Option<&str>) -> Result<(), Refusal> {
        let options = &self.shared.options;
        let is_counted = options.budget.usd.or(self.door.caller.budget.usd).is_some();
        let model = model.filter(|_| is_counted && self.route.is_generation());
        match model.filter(|model| options.prices.of(model).is_none()) {
            None => Ok(()),
            Some(model) => Err(Refusal::Budget(format!(
                "the budget is in dollars, and there is no price for the model '{model}'"
            ))),
        }
    }

    fn request(&self, lent: &Lent) -> Result<reqwest::Request, Refusal> {
        let credential = lent.credential();
        let provider = &self.route.provider;
        let base =
            credential.base_url.as_deref().or_else(|| self.shared.options.base_url(provider));
        let base = base.ok_or_else(|| {
            Refusal::NoProvider(format!("where '{provider}' is: its key has no base_url"))
        })?;
        let path = self.route.path_with(credential.model.as_deref());
        let query = self.route.query.as_deref().map(|query| format!("?{query}"));
        let url = format!("{}{path}{}", base.trim_end_matches('/'), query.unwrap_or_default());
        let url = reqwest::Url::parse(&url)
            .map_err(|_| Refusal::NoProvider(format!("where '{provider}' is: {base} is no URL")))?;
        let mut request = reqwest::Request::new(self.method.clone(), url);
        *request.headers_mut() = self.headers.clone();
        headers::lend(request.headers_mut(), self.route.place(self.place, base), &credential.key);
        let body = self.intake.with_model(credential.model.as_deref());
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        Ok(request)
    }

    /// What a proxy says for itself where it passes on what is not encrypted.
    fn said_by_proxy(
        &self,
        response: &reqwest::Response,
        url: &reqwest::Url,
    ) -> Option<Unreachable> {
        let is_own = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        is_own.then(|| self.shared.network.unauthenticated(url))?
    }

    /// A status that says that all is well, which is believed once the answer begins so.
    async fn success(&self, response: reqwest::Response, mut lent: Lent) -> Result<Try, Refusal> {
        let (head, mut body) = hyper::http::Response::from(response).into_parts();
        let (is_stream, size) = (is_stream(&head.headers), body.size_hint());
        let peeked = match peek(&mut body, is_stream, self.shared.options.first_byte).await {
            Ok(peeked) => peeked,
            Err(nothing) => {
                lent.settle(End::Lost);
                return match nothing {
                    Nothing::Silent => Err(Refusal::Silent),
                    Nothing::Cut => {
                        Ok(Try::Fault(Err(Refusal::Cut("its answer did not begin".into()))))
                    }
                };
            }
        };
        let error = peeked.error.as_deref().unwrap_or_default();
        let rejection = told(head.status, &head.headers, error, |answer| lent.report(answer));
        if let Some(rejection) = rejection.filter(|rejection| is_retried(*rejection)) {
            lent.settle(End::Lost);
            return Ok(Try::Again(None, rejection));
        }
        let key = lent.credential().key.clone();
        let account = self.account(lent, is_stream);
        let passing = Box::new(Passing::new(peeked.frames, body, size, key.clone(), account));
        Ok(Try::Done(respond(head.status, &head.headers, &key, Body::Passing(passing))))
    }

    async fn failure(&self, response: reqwest::Response, lent: Lent) -> Try {
        let (head, mut body) = hyper::http::Response::from(response).into_parts();
        let text = collect(&mut body, ERROR_PATIENCE).await;
        let key = lent.credential().key.clone();
        let words = String::from_utf8_lossy(&text);
        let rejection = told(head.status, &head.headers, &words, |answer| {
            lent.settle(End::Answer(answer, None))
        });
        let text = scrub(Bytes::from(text), &key);
        let mut answer = respond(head.status, &head.headers, &key, Body::from(text.clone()));
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        if rejection == Some(Rejection::Forbidden) {
            self.shared.denials.keep(self.denied(), &answer, text);
        }
        match rejection {
            Some(rejection) if is_retried(rejection) => Try::Again(Some(answer), rejection),
            None if is_fault(head.status) => Try::Fault(Ok(answer)),
            _ => Try::Done(answer),
        }
    }

    fn account(&self, lent: Lent, is_stream: bool) -> Account {
        Account {
            meter: Meter::new(is_stream),
            lent: Some(lent),
            is_generation: self.route.is_generation(),
            is_order: self.method == Method::POST,
            request_bytes: self.intake.body.len(),
            model: self.model().unwrap_or("unknown").to_owned(),
            door: Arc::clone(self.door),
            shared: Arc::clone(self.shared),
        }
    }
}

/// Tells the head of an answer to the ring, in its words.
fn told(
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    tell: impl FnOnce(&Answer<'_>) -> Option<Rejection>,
) -> Option<Rejection> {
    let headers: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    tell(&Answer::new(status.as_u16(), &headers, body))
}

fn respond(status: StatusCode, headers: &HeaderMap, key: &ApiKey, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers::to_client(headers, key);
    response
}

/// Whether the ring has something better than to pass this on.
const fn is_retried(rejection: Rejection) -> bool {
    !matches!(rejection, Rejection::Blocked | Rejection::Unknown { .. })
}

/// Faults of a server, in which a request is not to blame.
fn is_fault(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 499 | 500 | 502 | 504)
}

fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// Why there is no key, so that a client learns the same as from its provider.
fn none_ready(none: &NoneReady, now: SystemTime) -> Refusal {
    let why = none.reason.map_or_else(|| none.to_string(), |reason| format!("{none}: {reason}"));
    let wait = none.wait(now);
    match (none.reason, wait) {
        (Some(Rejection::Overloaded { .. }), Some(_)) => Refusal::Overloaded,
        (Some(Rejection::Billing), _) => Refusal::Billing(format!("{why}. {NO_CREDIT}")),
        (Some(Rejection::Forbidden), _) => Refusal::Forbidden(why),
        (Some(Rejection::Unauthorized), _) => Refusal::NoKey(why),
        (Some(Rejection::QuotaExhausted { .. }), Some(wait)) => {
            Refusal::Quota { wait, message: format!("{why}. {}", used_up(now + wait)) }
        }
        (_, Some(wait)) => Refusal::Limited { wait, message: why },
        (_, None) if none.is_busy => Refusal::Limited { wait: BUSY, message: why },
        (_, None) => Refusal::NoKey(why),
    }
}

/// Anthropic's sentence, which agents look for.
const NO_CREDIT: &str = "Your credit balance is too low to access the API";

/// Another one.
fn used_up(until: SystemTime) -> String {
    let time = rfc3339(until);
    let (date, clock) = time.split_once('T').unwrap_or((&time, ""));
    let clock = clock.get(..5).unwrap_or("00:00");
    format!(
        "You have reached your specified API usage limits. You will regain access on {date} at {clock} UTC."
    )
}

/// Between half and all of it.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
