//! What an answer says about the key.

use std::{fmt, time::Duration};

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// All went well.
    Fine,
    /// It was refused for a reason that concerns keys, limits or the service.
    Rejected(Rejection),
    /// The server or the way to it failed; the same request may work again, with the same key.
    Transient,
    /// The request is wrong, whatever the key and however often it is sent.
    BadRequest,
}

impl Verdict {
    /// What it says about keys, if anything.
    pub const fn rejection(self) -> Option<Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }
}

/// Why a request was refused, as far as it concerns keys.
///
/// Waits are durations, counted by the server's own clock where it tells the time, so that no
/// machine's clock is compared with another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// Too many requests or tokens for now: the limit's group rests.
    RateLimited {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The use of a limit grew too fast, whatever is left of it: the limit's group rests, and then
    /// makes half as many requests a second as before, and slowly more.
    SlowDown {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The service is overloaded: nobody's key, and no other key would help.
    Overloaded {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// A quota of a day or longer is used up: it is spent until the reset.
    QuotaExhausted {
        /// When it starts anew; `None` if the server does not say.
        resets_in: Option<Duration>,
        /// Who shares the quota.
        scope: Scope,
    },
    /// There is no money. The account is asked again now and then, since somebody may have paid.
    Billing,
    /// The key is wrong, revoked or expired: it is out.
    Unauthorized,
    /// The key may not do this: it rests for long, and another may do.
    Forbidden,
    /// The service refuses this place or this kind of client, whatever the key.
    Blocked,
    /// Something that we do not know: the key rests a little and is tried again.
    Unknown {
        /// The HTTP status.
        status: u16,
    },
}

/// Who shares a state. The scopes are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// All who ask this service for this model, whatever their key.
    Endpoint,
    /// The keys of one account, for one model.
    Group,
    /// The keys of one account: an organisation, workspace or project.
    Account,
    /// One key.
    Key,
    /// One key, for one model.
    KeyModel,
    /// Nothing that is kept.
    Nothing,
}

impl Rejection {
    /// A quota of one key that is used up.
    pub const fn quota(resets_in: Option<Duration>) -> Self {
        Self::QuotaExhausted { resets_in, scope: Scope::Key }
    }

    /// The kind in a word, for reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::SlowDown { .. } => "slow_down",
            Self::Overloaded { .. } => "overloaded",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::Billing => "billing",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Blocked => "blocked",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The rejection of a [word](Self::as_str), as far as it tells.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::RateLimited { retry_after: None },
            Self::SlowDown { retry_after: None },
            Self::quota(None),
            Self::Billing,
            Self::Unauthorized,
            Self::Forbidden,
        ];
        all.into_iter().find(|rejection| rejection.as_str() == word)
    }

    /// Who shares the state that it leads to.
    pub const fn scope(self) -> Scope {
        match self {
            Self::RateLimited { .. } | Self::SlowDown { .. } => Scope::Group,
            Self::Overloaded { .. } => Scope::Endpoint,
            Self::QuotaExhausted { scope, .. } => scope,
            Self::Billing => Scope::Account,
            Self::Unauthorized | Self::Unknown { .. } => Scope::Key,
            Self::Forbidden => Scope::KeyModel,
            Self::Blocked => Scope::Nothing,
        }
    }

    /// Whether another key may be better off. Not so for an overload or a blocked place, which
    /// would only burn one key after the other.
    #[doc(alias = "should_rotate")]
    pub const fn is_about_key(self) -> bool {
        !matches!(self, Self::Overloaded { .. } | Self::Blocked)
    }

    /// When the server wants to be asked again, if it says so.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after: wait }
            | Self::SlowDown { retry_after: wait }
            | Self::Overloaded { retry_after: wait }
            | Self::QuotaExhausted { resets_in: wait, .. } => wait,
            _ => None,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimited { .. } => f.write_str("rate limit reached"),
            Self::SlowDown { .. } => f.write_str("use grew too fast"),
            Self::Overloaded { .. } => f.write_str("service overloaded"),
            Self::QuotaExhausted { .. } => f.write_str("quota used up"),
            Self::Billing => f.write_str("no credit left, or a billing problem"),
            Self::Unauthorized => f.write_str("key wrong, revoked or expired"),
            Self::Forbidden => f.write_str("key not allowed to do this"),
            Self::Blocked => f.write_str("service refuses this place or client"),
            Self::Unknown { status } => write!(f, "unknown refusal (status {status})"),
        }
    }
}
