//! Budgets, and the numbers that are shown.

use agent_runner_gateway::{Budget, Caller, Options, Price, Prices, Spent, Stopped};

use crate::{
    client::{BODY, body, post, raw, status},
    keys,
    provider::{Provider, answer, message},
    setup,
};

#[tokio::test]
async fn a_caller_that_spent_its_budget_is_told_so_for_good() {
    let provider = Provider::start(|_| message()).await;
    let it = setup(keys("anthropic", &provider.url(), 1), Options::default()).await;
    let budget = Budget::default().tokens(40);
    let access = it.gateway.lend(Caller::attempt("t", 2).budget(budget, Spent::new(15, 0.0)));
    let ask = async || {
        let request = post(access.token(), "/anthropic/v1/messages", BODY);
        raw(it.gateway.address(), request.as_bytes()).await
    };
    assert_eq!(status(&ask().await), 200, "30 of 40");
    assert_eq!(access.stopped(), None);
    assert_eq!(status(&ask().await), 200, "45 of 40");
    assert_eq!(access.stopped(), Some(Stopped::Caller));
    let answer = ask().await;
    assert_eq!(status(&answer), 402);
    assert!(body(&answer).contains("\"type\":\"billing_error\""), "{answer}");
    assert!(body(&answer).contains("the budget of this task is spent (40 tokens)"), "{answer}");
    assert_eq!(provider.requests().len(), 2);
    assert_eq!(status(&it.ask().await), 200, "others go on");
}

#[tokio::test]
async fn a_run_that_spent_its_money_stops_all() {
    let provider = Provider::start(|_| message()).await;
    let mut options = Options::default();
    options.budget = Budget::default().usd(0.0002);
    let price = Price { input: 5.0, output: 25.0, cache_read: None, cache_write: None };
    options.prices = Prices([("claude-opus".to_owned(), price)].into());
    let it = setup(keys("anthropic", &provider.url(), 1), options).await;
    // 10 x $5 and 5 x $25 a million.
    assert_eq!(status(&it.ask().await), 200);
    let line = it.gateway.usage().remove(0);
    assert!((line.cost_usd.unwrap() - 0.000_175).abs() < 1e-9, "{line:?}");
    assert_eq!(status(&it.ask().await), 200);
    assert_eq!(it.access.stopped(), Some(Stopped::Gateway));
    let answer = it.ask().await;
    assert!(status(&answer) == 402 && answer.contains("the budget of this run"), "{answer}");
}

#[tokio::test]
async fn money_is_not_spent_on_what_has_no_price() {
    let provider = Provider::start(|_| message()).await;
    let mut options = Options::default();
    options.budget = Budget::default().usd(1.0);
    let it = setup(keys("anthropic", &provider.url(), 1), options).await;
    let answer = it.ask().await;
    assert_eq!(status(&answer), 402, "{answer}");
    assert!(answer.contains("there is no price for the model 'claude-opus-9'"), "{answer}");
    assert_eq!(provider.requests().len(), 0);
}

#[tokio::test]
async fn a_budget_is_final_in_each_dialect() {
    let provider = Provider::start(|_| answer(200, "", "{}")).await;
    for (name, path, code, expected) in [
        ("openai", "/openai/v1/responses", 400, "\"code\":\"insufficient_quota\""),
        ("gemini", "/gemini/v1beta/models/g:generateContent", 400, "\"FAILED_PRECONDITION\""),
    ] {
        let it = setup(keys(name, &provider.url(), 1), Options::default()).await;
        let budget = Budget::default().tokens(0);
        let access = it.gateway.lend(Caller::attempt("t", 1).budget(budget, Spent::default()));
        let request =
            post(access.token(), path, "{}").replace("anthropic-version: 2023-06-01\r\n", "");
        let answer = raw(it.gateway.address(), request.as_bytes()).await;
        assert!(status(&answer) == code && answer.contains(expected), "{answer}");
    }
}

#[tokio::test]
async fn metrics_are_for_whoever_has_their_token() {
    let provider = Provider::start(|_| message()).await;
    let mut options = Options::default();
    options.metrics_token = Some("of-the-metrics".into());
    let it = setup(keys("anthropic", &provider.url(), 1), options).await;
    assert_eq!(status(&it.ask().await), 200);
    let get = async |token: &str| {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        raw(it.gateway.address(), request.as_bytes()).await
    };
    assert_eq!(status(&get(it.access.token()).await), 401, "agents do not read them");
    let text = get("of-the-metrics").await;
    for expected in [
        "agent_runner_gateway_answers_total{class=\"2xx\"} 1\n",
        "agent_runner_gateway_tokens_total{key=\"K1\",model=\"claude-opus-9\",kind=\"input\"} 10\n",
        "agent_runner_gateway_caller_tokens{task=\"task\",attempt=\"1\"} 15\n",
        "agent_runner_gateway_key_ready{key=\"K1\",state=\"ready\"} 1\n",
        "agent_runner_gateway_open_streams 0\n",
    ] {
        assert!(text.contains(expected), "{expected}{text}");
    }
    assert!(!text.contains("sk-"), "{text}");
}
