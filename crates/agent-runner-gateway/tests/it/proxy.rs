//! Proxies between the gateway and its providers.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use agent_runner_gateway::{Network, Options};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    LONG, Setup,
    client::{body, status},
    keys,
    provider::{Provider, Seen, message},
    secure::{Authority, Front, Time, options},
    setup,
};

const SECRET: &str = "pass-of-the-proxy";

/// What a proxy does with whoever asks it.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Connects to the provider, whatever the name.
    Serve,
    Answer(&'static str),
    /// Makes a connection, and cuts it after so many bytes from the provider.
    Cut(usize),
    Hang,
}

/// A proxy. It ends when it is dropped.
struct Proxy {
    address: SocketAddr,
    /// All that clients sent, by connection.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    _work: JoinSet<()>,
}

impl Proxy {
    async fn start(does: Does, provider: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, mut work) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
        let all = Arc::clone(&seen);
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let all = Arc::clone(&all);
                let place = {
                    let mut all = all.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                connections.spawn(async move {
                    // Whoever goes away is no concern of the proxy.
                    drop(
                        connection(stream, does, provider, |bytes| {
                            all.lock().unwrap()[place].extend_from_slice(bytes);
                        })
                        .await,
                    );
                });
            }
        });
        Self { address, seen, _work: work }
    }

    /// Its URL, with a password.
    fn url(&self) -> String {
        format!("http://me:{SECRET}@{}", self.address)
    }

    fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

async fn connection(
    mut client: TcpStream,
    does: Does,
    provider: SocketAddr,
    see: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    see(&head);
    let is_tunnel = head.starts_with(b"CONNECT ");
    let mut server = match does {
        Does::Answer(answer) => return client.write_all(answer.as_bytes()).await,
        Does::Hang => return std::future::pending().await,
        Does::Serve | Does::Cut(_) => TcpStream::connect(provider).await?,
    };
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        server.write_all(&head).await?;
    }
    let Does::Cut(mut left) = does else {
        let (mut reads, mut writes) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let mut bytes = vec![0; 16 * 1024];
            loop {
                let count = reads.read(&mut bytes).await?;
                if count == 0 {
                    return to_server.shutdown().await;
                }
                see(&bytes[..count]);
                to_server.write_all(&bytes[..count]).await?;
            }
        };
        let down = async {
            tokio::io::copy(&mut from_server, &mut writes).await?;
            writes.shutdown().await
        };
        return tokio::try_join!(up, down).map(drop);
    };
    let (mut near, far) = tokio::io::duplex(64);
    let both = copy_bidirectional(&mut near, &mut server);
    let cut = async {
        let (mut from, mut to) = tokio::io::split(far);
        let (mut reads, mut writes) = client.split();
        let up = async { tokio::io::copy(&mut reads, &mut to).await.map(drop) };
        let down = async {
            let mut byte = [0];
            while left > 0 && from.read(&mut byte).await? == 1 {
                writes.write_all(&byte).await?;
                left -= 1;
            }
            Ok::<_, std::io::Error>(())
        };
        tokio::select! { ended = up => ended, ended = down => ended }
    };
    tokio::select! { _ = both => Ok(()), ended = cut => ended }
}

/// A provider by a name that only the proxy can find.
async fn beyond(url: &str, variables: &[(&str, &str)]) -> Setup {
    setup(keys("anthropic", url, 2), options(variables)).await
}

fn impatient(network: Network) -> Network {
    network.with_connect_timeout(Duration::from_millis(200))
}

/// A provider with TLS in the world outside.
struct Outside {
    authority: Authority,
    provider: Provider,
    front: Front,
}

const OUTSIDE: &str = "https://api.provider.test";

impl Outside {
    async fn new() -> Self {
        let (authority, provider) = (Authority::new(), Provider::start(|_| message()).await);
        let config = authority.server(&["api.provider.test"], Time::Now, "http/1.1");
        let front = Front::start(config, provider.address).await;
        Self { authority, provider, front }
    }
}

#[tokio::test]
async fn a_proxy_connects_and_never_sees_a_key() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let it = Outside::new().await;
        let proxy = Proxy::start(Does::Serve, it.front.address).await;
        let variables = [(variable, &*proxy.url()), ("SSL_CERT_FILE", &it.authority.file())];
        let setup = beyond(OUTSIDE, &variables).await;
        let answer = setup.ask().await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(it.provider.requests()[0].has_key(1));
        let [seen] = &proxy.seen()[..] else { panic!("one tunnel") };
        assert!(seen.starts_with("CONNECT api.provider.test:443 HTTP/1.1\r\n"), "{seen}");
        assert!(seen.len() > 500, "what the client sent is looked at: {}", seen.len());
        assert!(!seen.contains(&crate::key(1)) && !seen.contains("x-api-key"), "{seen}");
        // me:pass-of-the-proxy
        let login = "proxy-authorization: basic bwu6cgfzcy1vzi10agutchjvehk=";
        assert!(seen.to_lowercase().contains(login), "{seen}");
    }
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_too() {
    let provider = Provider::start(|_| message()).await;
    let proxy = Proxy::start(Does::Serve, provider.address).await;
    for variable in ["HTTP_PROXY", "http_proxy"] {
        let it = beyond("http://provider.test:8080/base", &[(variable, &proxy.url())]).await;
        let answer = it.ask().await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let seen = &proxy.seen()[0];
    assert!(seen.starts_with("POST http://provider.test:8080/base/v1/messages HTTP/1.1"), "{seen}");
    assert!(seen.to_lowercase().contains("proxy-authorization: basic "), "{seen}");
}

#[tokio::test]
async fn this_machine_and_what_no_proxy_names_are_asked_without() {
    let provider = Provider::start(|_| message()).await;
    let proxy = Proxy::start(Does::Answer("HTTP/1.1 403 No\r\n\r\n"), provider.address).await;
    let by_name = format!("http://localhost:{}", provider.address.port());
    for url in [provider.url(), by_name] {
        let it = beyond(&url, &[("HTTP_PROXY", &proxy.url())]).await;
        assert_eq!(status(&it.ask().await), 200, "{url}");
    }
    let variables = [("HTTP_PROXY", &*proxy.url()), ("NO_PROXY", "provider.test")];
    let mut options = options(&variables);
    options.network = options.network.map(impatient);
    let it = setup(keys("anthropic", "http://api.provider.test", 1), options).await;
    assert_eq!(status(&it.ask().await), 502, "there is no such host");
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
}

/// Takes one connection as SOCKS5 has it (RFC 1928, 1929), for a user with a password; says to which
/// host and port.
async fn socks(listener: TcpListener, provider: SocketAddr) -> (String, u16) {
    let (mut client, _) = listener.accept().await.unwrap();
    let methods = usize::from(take::<2>(&mut client).await[1]);
    client.read_exact(&mut vec![0; methods]).await.unwrap();
    client.write_all(&[5, 2]).await.unwrap();
    for expected in ["me", SECRET] {
        // The version is before the user alone.
        let head = if expected == "me" {
            take::<2>(&mut client).await[1]
        } else {
            client.read_u8().await.unwrap()
        };
        let mut word = vec![0; usize::from(head)];
        client.read_exact(&mut word).await.unwrap();
        assert_eq!(word, expected.as_bytes());
    }
    client.write_all(&[1, 0]).await.unwrap();
    let [version, connect, _, by_name, length] = take::<5>(&mut client).await;
    assert_eq!((version, connect, by_name), (5, 1, 3));
    let mut host = vec![0; usize::from(length)];
    client.read_exact(&mut host).await.unwrap();
    let port = client.read_u16().await.unwrap();
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let mut server = TcpStream::connect(provider).await.unwrap();
    // Whoever goes away is no concern of the proxy.
    drop(copy_bidirectional(&mut client, &mut server).await);
    (String::from_utf8(host).unwrap(), port)
}

async fn take<const COUNT: usize>(stream: &mut TcpStream) -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_proxy_may_speak_socks() {
    let it = Outside::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("socks5h://me:{SECRET}@{}", listener.local_addr().unwrap());
    let served = tokio::spawn(socks(listener, it.front.address));
    let variables = [("ALL_PROXY", &*url), ("SSL_CERT_FILE", &it.authority.file())];
    let setup = beyond(OUTSIDE, &variables).await;
    let answer = setup.ask().await;
    assert_eq!(status(&answer), 200, "{answer}");
    drop(setup);
    assert_eq!(served.await.unwrap(), ("api.provider.test".to_owned(), 443));
}

/// What a client is told of a proxy that does not serve, and how often it was asked.
async fn check(does: Does, url: &str, expected: &[&str], asked: usize) {
    let it = Outside::new().await;
    let proxy = Proxy::start(does, it.front.address).await;
    let name = format!("the proxy http://{} (ALL_PROXY)", proxy.address);
    let file = it.authority.file();
    let mut options = options(&[("ALL_PROXY", &proxy.url()), ("SSL_CERT_FILE", &file)]);
    options.network = options.network.map(impatient);
    let setup = setup(keys("anthropic", url, 2), options).await;
    let answer = tokio::time::timeout(LONG, setup.ask()).await.unwrap();
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(body(&answer).contains(r#""type":"api_error""#), "{answer}");
    for expected in [&[&*name], expected].concat() {
        assert!(answer.contains(expected), "{answer}");
    }
    assert!(!answer.contains(SECRET), "{answer}");
    let snapshot = setup.ring.snapshot();
    assert!(snapshot.keys.iter().all(|key| key.state.as_str() == "ready"), "{snapshot:?}");
    assert!(snapshot.keys.iter().all(|key| key.denied.is_empty()), "{snapshot:?}");
    assert_eq!(proxy.seen().len(), asked);
    let unreachable = setup.access.refused().unwrap().unreachable.unwrap();
    assert_eq!(unreachable.lasts, asked == 1);
    assert!(unreachable.why.contains(&name), "{unreachable}");
}

#[tokio::test]
async fn a_proxy_that_wants_another_password_is_named_at_once() {
    let answer = "HTTP/1.1 407 Login\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
    let expected = ["does not take the user and the password"];
    check(Does::Answer(answer), OUTSIDE, &expected, 1).await;
    check(Does::Answer(answer), "http://provider.test", &expected, 1).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    let expected = ["refused to connect to api.provider.test"];
    check(Does::Answer(answer), OUTSIDE, &expected, 4).await;
}

#[tokio::test]
async fn a_proxy_that_hangs_is_given_up() {
    check(Does::Hang, OUTSIDE, &["made no connection to api.provider.test within 0.2 s"], 4).await;
}

#[tokio::test]
async fn a_proxy_that_cuts_is_named() {
    check(Does::Cut(0), OUTSIDE, &["through the proxy"], 4).await;
    check(Does::Cut(100), OUTSIDE, &["through the proxy"], 4).await;
    check(Does::Answer("HTTP/1."), OUTSIDE, &["through the proxy"], 4).await;
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://me:{SECRET}@{address}");
    let it = beyond(OUTSIDE, &[("HTTPS_PROXY", &url)]).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.contains(&format!("the proxy http://{address} (HTTPS_PROXY)")), "{answer}");
    assert!(answer.contains("refused") && !answer.contains(SECRET), "{answer}");
}

#[tokio::test]
async fn a_page_of_a_filter_is_no_word_about_a_key() {
    let page = |_: &Seen| {
        let text = "<html><body>Blocked by policy</body></html>";
        let head = format!(
            "HTTP/1.1 403 X\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        vec![crate::provider::send(&head), crate::provider::send(text)]
    };
    let provider = Provider::start(page).await;
    let it = setup(keys("anthropic", &provider.url(), 2), Options::default()).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 403, "{answer}");
    assert!(answer.contains("Blocked by policy"), "{answer}");
    let snapshot = it.ring.snapshot();
    assert!(snapshot.keys.iter().all(|key| key.denied.is_empty()), "{snapshot:?}");
    assert_eq!(provider.requests().len(), 1);
}
