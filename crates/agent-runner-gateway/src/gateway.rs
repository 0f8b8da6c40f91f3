//! The gateway: what listens, and what all its requests share.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent_runner_credentials::{Form, SharedRing};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

use crate::{
    Access, Caller, Line, Network, NetworkError, Options, Spent,
    denials::Denials,
    intake::Room,
    ledger::{Entry, Ledger},
    listen::{Phase, accept},
    stats::Stats,
    token::{Door, Doors},
};

/// A gateway that runs. It ends, with all that goes through it, when it is dropped.
///
/// # Examples
///
/// ```no_run
/// use agent_runner_credentials::{KeyRing, SharedRing};
/// use agent_runner_gateway::{Caller, Gateway, Options};
///
/// # async fn example(ring: SharedRing) -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = Gateway::start(ring, Options::default()).await?;
/// let access = gateway.lend(Caller::attempt("fix-login", 1));
/// let variables = [
///     ("ANTHROPIC_BASE_URL", gateway.base_url("anthropic")),
///     ("ANTHROPIC_API_KEY", access.token().to_owned()),
/// ];
/// // ... run an agent with these, then:
/// println!("{:?}", access.usage());
/// # Ok(())
/// # }
/// ```
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    work: JoinSet<()>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) ring: SharedRing,
    pub(crate) client: reqwest::Client,
    pub(crate) network: Network,
    pub(crate) options: Options,
    pub(crate) doors: Arc<Doors>,
    pub(crate) run: Arc<Mutex<Ledger>>,
    pub(crate) room: Room,
    pub(crate) stats: Stats,
    pub(crate) denials: Denials,
    pub(crate) phase: watch::Sender<Phase>,
    /// Those that there are keys of.
    pub(crate) providers: BTreeSet<String>,
}

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can be reached from other machines.
    #[error("{0} is no address of this machine alone: the gateway listens on 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// Nothing can listen there.
    #[error("could not listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// What is said about proxies or certificates cannot be followed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl Gateway {
    /// Starts one in the current tokio runtime, which needs its drivers for IO and time.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is left when the future is dropped.
    pub async fn start(ring: SharedRing, options: Options) -> Result<Self, StartError> {
        let address = options.listen;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let network = options.network.clone().map_or_else(Network::from_env, Ok)?;
        let client = network.client()?;
        let shared = Arc::new(Shared::new(ring, (network, client), options));
        let mut work = JoinSet::new();
        work.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, work })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client of this provider takes as its base URL.
    pub fn base_url(&self, provider: &str) -> String {
        format!("http://{}{}", self.address, base_path(provider))
    }

    /// The providers that it has keys of.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.shared.providers.iter().map(String::as_str)
    }

    /// Makes a token for a caller.
    pub fn lend(&self, caller: Caller) -> Access {
        let (door, token) = self.shared.doors.open(caller);
        self.access(door, token)
    }

    /// Lets a caller in with a token of one's own. It should be long and at random; of those that
    /// do not look like the gateway's own there is one at a time.
    pub fn lend_as(&self, caller: Caller, token: &str) -> Access {
        let door = self.shared.doors.open_as(caller, token);
        self.access(door, token.to_owned())
    }

    /// What all callers used, by key and model.
    pub fn usage(&self) -> Vec<Line> {
        self.shared.ledger(|ledger| ledger.lines().cloned().collect())
    }

    /// What all callers spent.
    pub fn spent(&self) -> Spent {
        self.shared.ledger(|ledger| ledger.spent())
    }

    /// Takes no new connection and no new request, and lets what is under way end, for so long at
    /// most; then it is cut. Returns whether all ended by itself. What was used is known afterwards.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on when the future is dropped, and can be waited for again, or cut with
    /// a wait of zero.
    pub async fn close(&mut self, most: Duration) -> bool {
        let begin = |phase: &mut Phase| *phase = (*phase).max(Phase::Closing);
        self.shared.phase.send_modify(begin);
        if timeout(most, self.work.join_next()).await.is_ok() {
            return true;
        }
        self.shared.phase.send_replace(Phase::Closed);
        self.work.join_next().await;
        false
    }

    fn access(&self, door: Arc<Door>, token: String) -> Access {
        let shared = &self.shared;
        Access {
            doors: Arc::clone(&shared.doors),
            door,
            token,
            run_budget: shared.options.budget,
            run: Arc::clone(&shared.run),
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn new(
        ring: SharedRing,
        (network, client): (Network, reqwest::Client),
        options: Options,
    ) -> Self {
        let providers = ring.with(|ring, _| {
            let keys = ring.credentials().filter(|credential| credential.form == Form::ApiKey);
            keys.map(|credential| credential.provider.clone()).collect()
        });
        let room = Room::new(options.room_for_bodies, options.largest_body, options.body_timeout);
        Self {
            ring,
            client,
            network,
            options,
            doors: Arc::default(),
            run: Arc::default(),
            room,
            stats: Stats::default(),
            denials: Denials::default(),
            phase: watch::Sender::default(),
            providers,
        }
    }

    /// Writes down what was used.
    pub(crate) fn write(&self, door: &Door, entry: &Entry<'_>) {
        door.ledger().write(entry, &self.options.prices);
        self.ledger(|ledger| ledger.write(entry, &self.options.prices));
    }

    pub(crate) fn ledger<R>(&self, look: impl FnOnce(&mut Ledger) -> R) -> R {
        look(&mut self.run.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The path of a provider's base URL.
pub(crate) fn base_path(provider: &str) -> String {
    let version = if provider == "anthropic" || provider == "gemini" { "" } else { "/v1" };
    format!("/{provider}{version}")
}
