//! Laws of the ring: random actions against a model that is too dull to be wrong.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::{KeyRing, KeyState, Lease};
use crate::{Answer, ApiKey, Credential, End, Rejection, Scope, Verdict, Want};

fn ring(keys: usize) -> KeyRing {
    let key = |number| ApiKey::new(&format!("sk-{number}")).unwrap();
    KeyRing::new((0..keys).map(|number| Credential::new(format!("key-{number}"), "x", key(number))))
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Debug, Clone)]
enum Step {
    Lease,
    /// About one of the leases that are out, in any order.
    Reject(prop::sample::Index, Rejection),
    Succeed(prop::sample::Index),
    Pass(Duration),
    Reset(usize),
}

fn rejections() -> impl Strategy<Value = Rejection> {
    let waits = || (1..100_000_u64).prop_map(seconds);
    prop_oneof![
        waits().prop_map(|wait| Rejection::RateLimited { retry_after: Some(wait) }),
        Just(Rejection::RateLimited { retry_after: None }),
        waits().prop_map(|wait| Rejection::SlowDown { retry_after: Some(wait) }),
        Just(Rejection::Overloaded { retry_after: None }),
        (waits(), scopes())
            .prop_map(|(wait, scope)| Rejection::QuotaExhausted { resets_in: Some(wait), scope }),
        Just(Rejection::quota(None)),
        Just(Rejection::Billing),
        Just(Rejection::Unauthorized),
        Just(Rejection::Forbidden),
        Just(Rejection::Blocked),
        any::<u16>().prop_map(|status| Rejection::Unknown { status }),
    ]
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Key), Just(Scope::Account), Just(Scope::Group)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Lease),
        4 => (any::<prop::sample::Index>(), rejections()).prop_map(|(at, why)| Step::Reject(at, why)),
        2 => any::<prop::sample::Index>().prop_map(Step::Succeed),
        3 => (0..30_000_u64).prop_map(|wait| Step::Pass(seconds(wait))),
        1 => (0..6_usize).prop_map(Step::Reset),
    ];
    prop::collection::vec(step, 0..120)
}

/// What a server has said about a key since it was reset.
#[derive(Clone, Default)]
struct Told {
    until: Option<SystemTime>,
    out: bool,
    reset_at: usize,
    /// Whether it was refused for a rate, after which calls come more slowly.
    is_paced: bool,
    /// Leases of other keys while this one was ready.
    passed_over: usize,
}

impl Told {
    fn hear(&mut self, rejection: Rejection, now: SystemTime) {
        match rejection {
            Rejection::Unauthorized => self.out = true,
            Rejection::RateLimited { retry_after: Some(wait) }
            | Rejection::SlowDown { retry_after: Some(wait) }
            | Rejection::QuotaExhausted { resets_in: Some(wait), .. } => {
                self.until = self.until.max(Some(now + wait));
            }
            _ => (),
        }
    }
}

struct World {
    ring: KeyRing,
    now: SystemTime,
    told: Vec<Told>,
    /// With the step at which it was lent.
    leases: Vec<(usize, Lease)>,
}

impl World {
    fn new(keys: usize) -> Self {
        let mut ring = ring(keys);
        // Of keys that have answered often, as many calls are lent as are wanted.
        for _ in 0..100 * keys {
            let lease = ring.lease(start(), &Want::call()).unwrap();
            ring.settle(lease, start(), End::Success(None));
        }
        Self { ring, now: start(), told: vec![Told::default(); keys], leases: vec![] }
    }

    fn step(&mut self, number: usize, step: &Step) {
        match step {
            Step::Pass(time) => self.now += *time,
            Step::Lease => self.lease(number),
            Step::Succeed(at) => {
                if let Some((_, lease)) = self.take(*at) {
                    self.ring.settle(lease, self.now, End::Success(None));
                }
            }
            Step::Reject(at, why) => {
                if let Some((lent_at, lease)) = self.take(*at) {
                    let told = &mut self.told[lease.key_id().0];
                    self.ring.settle(lease, self.now, End::Rejected(*why));
                    told.is_paced |=
                        matches!(why, Rejection::RateLimited { .. } | Rejection::SlowDown { .. });
                    if lent_at >= told.reset_at {
                        told.hear(*why, self.now);
                    }
                }
            }
            Step::Reset(key) => {
                if self.ring.reset(&format!("key-{key}"), self.now) {
                    let is_paced = self.told[*key].is_paced;
                    self.told[*key] = Told { reset_at: number, is_paced, ..Told::default() };
                }
            }
        }
    }

    fn take(&mut self, at: prop::sample::Index) -> Option<(usize, Lease)> {
        (!self.leases.is_empty()).then(|| self.leases.swap_remove(at.index(self.leases.len())))
    }

    fn lease(&mut self, number: usize) {
        let snapshot = self.ring.snapshot(self.now);
        let ready: Vec<bool> =
            snapshot.keys.iter().map(|key| key.state == KeyState::Ready).collect();
        let readiness = self.ring.readiness(self.now, &Want::call());
        match self.ring.lease(self.now, &Want::call()) {
            Ok(lease) => {
                assert_eq!(readiness, Ok(()), "two opinions on whether a key is ready");
                let key = lease.key_id().0;
                let told = &self.told[key];
                assert!(!told.out, "key {key} is out, and was lent");
                assert!(told.until <= Some(self.now), "key {key} rests or is spent, and was lent");
                self.pass_over(key, &ready);
                self.leases.push((number, lease));
            }
            Err(none) => {
                let keys = ready.iter().zip(&self.told);
                let mut free = keys.filter(|(ready, told)| **ready && !told.is_paced);
                let is_open = snapshot.overloads.is_empty();
                assert!(!is_open || free.next().is_none(), "a key is ready, and none was lent");
                assert_eq!(readiness, Err(none), "two opinions on when a key is ready");
            }
        }
    }

    fn pass_over(&mut self, lent: usize, ready: &[bool]) {
        let keys = ready.len();
        for (key, told) in self.told.iter_mut().enumerate() {
            let waits = key != lent && ready[key] && !told.is_paced;
            told.passed_over = if waits { told.passed_over + 1 } else { 0 };
            assert!(told.passed_over < keys, "key {key} starves");
        }
    }
}

proptest! {
    #[test]
    fn no_spent_or_resting_key_is_lent_and_no_key_starves(keys in 1..6_usize, steps in steps()) {
        let mut world = World::new(keys);
        for (number, step) in steps.iter().enumerate() {
            world.step(number, step);
        }
    }

    #[test]
    fn only_a_key_that_is_out_is_lost(keys in 1..6_usize, steps in steps()) {
        let mut world = World::new(keys);
        for (number, step) in steps.iter().enumerate() {
            world.step(number, step);
        }
        let month = world.now + seconds(32 * 86_400);
        for (key, told) in world.ring.snapshot(month).keys.iter().zip(&world.told) {
            let expected = if told.out { KeyState::Out } else { KeyState::Ready };
            prop_assert_eq!(key.state, expected, "{} after a month", key.label);
        }
    }

    #[test]
    fn an_unknown_answer_never_loses_a_key_for_ever(
        answers in prop::collection::vec((400..600_u16, ".{0,20}", 0..700_u64), 1..60),
    ) {
        let mut ring = ring(1);
        let mut now = start();
        for (status, body, wait) in answers {
            let answer = Answer::new(status, &[], &body);
            let verdict = crate::classify(&answer, now);
            if !matches!(verdict, Verdict::Rejected(Rejection::Unknown { .. })) {
                continue;
            }
            now += seconds(wait);
            if let Ok(lease) = ring.lease(now, &Want::call()) {
                ring.settle(lease, now, End::Answer(&answer, None));
            }
            let ready = next_ready(&ring, now).expect("an unknown answer put the key out");
            prop_assert!(ready <= now + seconds(600), "a rest of more than ten minutes");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_rest_longer(
        wait in 1..1000_u64,
        moves in prop::collection::vec(-5000..500_i64, 1..20),
    ) {
        let mut ring = ring(1);
        let mut now = start();
        let lease = ring.lease(now, &Want::call()).unwrap();
        let retry_after = Some(seconds(wait));
        ring.settle(lease, now, End::Rejected(Rejection::RateLimited { retry_after }));
        for step in moves {
            let by = seconds(step.unsigned_abs());
            now = if step < 0 { now.checked_sub(by).unwrap() } else { now + by };
            let left = next_ready(&ring, now).unwrap().duration_since(now).unwrap();
            prop_assert!(left <= seconds(wait), "{left:?} of {wait} s are left");
            let lent = ring.lease(now, &Want::call()).is_ok();
            prop_assert_eq!(lent, left.is_zero(), "two opinions on whether the key is ready");
            if lent {
                // The next one may have to wait for this one, which is no rest.
                break;
            }
        }
    }

    #[test]
    fn a_session_goes_from_key_to_key_and_skips_none(
        keys in 1..6_usize,
        refusals in prop::collection::vec(any::<bool>(), 1..60),
    ) {
        let mut ring = ring(keys);
        let (now, want) = (start(), Want::call().session("one"));
        let mut refused = 0;
        for is_refused in refusals {
            let Ok(lease) = ring.lease(now, &want) else { break };
            prop_assert_eq!(lease.key_id().0, refused, "it left a key that serves it, or skipped one");
            let end = if is_refused { End::Rejected(Rejection::quota(None)) } else { End::Success(None) };
            ring.settle(lease, now, end);
            refused += usize::from(is_refused);
        }
        prop_assert_eq!(ring.lease(now, &want).is_ok(), refused < keys, "a key was left");
    }
}

fn next_ready(ring: &KeyRing, now: SystemTime) -> Option<SystemTime> {
    ring.next_ready(now, &Want::call())
}

#[test]
fn ten_refusals_at_once_are_one_step() {
    let mut ring = ring(1);
    let now = start();
    let leases: Vec<_> = (0..10).map(|_| ring.lease(now, &Want::process()).unwrap()).collect();
    let busy = Answer::new(429, &[], "");
    for lease in leases {
        ring.settle(lease, now, End::Answer(&busy, None));
    }
    assert_eq!(next_ready(&ring, now), Some(now + seconds(1)), "each was counted");
    let lease = ring.lease(now + seconds(1), &Want::call()).unwrap();
    ring.settle(lease, now + seconds(1), End::Answer(&busy, None));
    assert_eq!(next_ready(&ring, now + seconds(1)), Some(now + seconds(3)), "the next one doubles");
}

#[test]
fn a_late_success_does_not_wake_a_key() {
    let mut ring = ring(1);
    let (now, want) = (start(), Want::call());
    let (slow, fast) = (ring.lease(now, &want).unwrap(), ring.lease(now, &want).unwrap());
    let busy = Answer::new(429, &[("retry-after", "60")], "");
    ring.settle(fast, now, End::Answer(&busy, None));
    ring.settle(slow, now, End::Answer(&Answer::new(200, &[], ""), None));
    assert_eq!(next_ready(&ring, now), Some(now + seconds(60)));
}

#[test]
fn a_late_refusal_does_not_undo_a_reset() {
    let mut ring = ring(1);
    let now = start();
    let late = ring.lease(now, &Want::call()).unwrap();
    assert!(ring.reset("key-0", now) && !ring.reset("nobody", now));
    ring.settle(late, now, End::Answer(&Answer::new(401, &[], ""), None));
    assert_eq!(next_ready(&ring, now), Some(now), "the refusal was of the old key");
}

#[test]
fn a_success_forgets_the_refusals() {
    let mut ring = ring(1);
    let mut now = start();
    let busy = Answer::new(429, &[], "");
    let mut refuse = |ring: &mut KeyRing| {
        let lease = ring.lease(now, &Want::call()).unwrap();
        ring.settle(lease, now, End::Answer(&busy, None));
        let rest = next_ready(ring, now).unwrap().duration_since(now).unwrap();
        now += rest;
        rest
    };
    let rests: Vec<_> = (0..8).map(|_| refuse(&mut ring).as_secs()).collect();
    assert_eq!(rests, [1, 2, 4, 8, 16, 600, 600, 600], "a rate is a matter of seconds");
    let now = now + seconds(600);
    let mut lease = ring.lease(now, &Want::call()).unwrap();
    ring.report(&mut lease, now, &Answer::new(200, &[], ""));
    ring.settle(lease, now, End::Answer(&busy, None));
    assert_eq!(next_ready(&ring, now), Some(now + seconds(1)));
}

#[test]
fn a_day_ends_where_the_provider_is() {
    let key = |provider| Credential::new(provider, provider, ApiKey::new(provider).unwrap());
    let mut ring = KeyRing::new([key("anthropic"), key("gemini")]);
    let now = crate::parse_rfc3339("2026-11-23T18:00:00Z").unwrap();
    let spent = Answer::new(429, &[], "daily quota exceeded");
    for _ in 0..2 {
        let lease = ring.lease(now, &Want::call()).unwrap();
        ring.settle(lease, now, End::Answer(&spent, None));
    }
    let snapshot = serde_json::to_value(ring.snapshot(now)).unwrap();
    assert_eq!(snapshot["keys"][0]["until"], "2026-11-24T00:00:00Z");
    assert_eq!(snapshot["keys"][1]["until"], "2026-11-24T08:00:00Z");
    assert_eq!(snapshot["keys"][1]["state"], "spent");
    assert_eq!(snapshot["next_ready"], "2026-11-24T00:00:00Z");
}

#[test]
fn an_overload_is_nobodys_fault() {
    let mut ring = ring(2);
    let mut now = start();
    for _ in 0..10 {
        let lease = ring.lease(now, &Want::call()).unwrap();
        let end = Answer::new(529, &[], "");
        let rejection = ring.settle(lease, now, End::Answer(&end, None)).unwrap();
        assert!(!rejection.is_about_key(), "the caller has to know that no other key helps");
        let none = ring.lease(now, &Want::call()).unwrap_err();
        assert!(matches!(none.reason, Some(Rejection::Overloaded { .. })), "{none:?}");
        let wait = none.wait(now).unwrap();
        assert!(wait <= seconds(10), "nobody knows when it is over");
        now += wait;
    }
    let snapshot = ring.snapshot(now);
    assert!(snapshot.keys.iter().all(|key| key.state == KeyState::Ready));
    assert_eq!(snapshot.overloads.len(), 1);
}

#[test]
fn keys_of_another_kind_are_not_lent() {
    let key = |provider| Credential::new(provider, provider, ApiKey::new(provider).unwrap());
    let mut ring = KeyRing::new([key("anthropic"), key("openai")]);
    let now = start();
    for _ in 0..3 {
        let lease = ring.lease(now, &Want::call().provider("openai")).unwrap();
        assert_eq!(lease.credential().label, "openai");
    }
    let none = ring.lease(now, &Want::call().provider("gemini")).unwrap_err();
    assert_eq!(none.until, None, "waiting does not help");
}

/// Its answer may be streamed for minutes.
#[test]
fn who_waits_for_what_a_key_can_do_waits_no_longer_than_to_the_first_head() {
    let mut ring = ring(1);
    let (now, want) = (start(), Want::call());
    let mut first = ring.lease(now, &want).unwrap();
    let others: Vec<_> = std::iter::from_fn(|| ring.lease(now, &want).ok()).take(100).collect();
    assert!(others.len() < 100, "all are sent while nothing is known");
    let headers = [
        ("anthropic-ratelimit-requests-limit", "600"),
        ("anthropic-ratelimit-requests-remaining", "60"),
    ];
    ring.report(&mut first, now, &Answer::new(200, &headers, ""));
    assert!(ring.lease(now, &want).is_ok(), "the head told what there is");
    drop((first, others));
}
