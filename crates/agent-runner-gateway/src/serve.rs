//! One request, from the token to the answer.

use std::{convert::Infallible, sync::Arc};

use hyper::{Request, Response, body::Incoming, header};

use crate::{
    Budget,
    answer::Refusal,
    body::Body,
    forward::Forward,
    gateway::{Shared, base_path},
    headers, metrics,
    route::{Dialect, Presented, Route},
    token::Door,
};

pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let answer = if request.uri().path() == "/metrics" {
        metrics::answer(&shared, &request)
    } else {
        route(&shared, request).await
    };
    shared.stats.answered(answer.status().as_u16());
    Ok(answer)
}

/// Nothing is looked at, and nothing of a body is read, before the token was found to be good.
async fn route(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (uri, head) = (request.uri(), request.headers());
    let route = Route::of(uri, head);
    let dialect = route.as_ref().map_or(Dialect::OpenAi, |route| route.dialect);
    let presented = Presented::find(uri, head);
    let door = presented.as_ref().and_then(|presented| shared.doors.find(&presented.token));
    let (Some(presented), Some(door)) = (presented, door) else {
        return Refusal::Token.answer(dialect);
    };
    let Some(route) = route else {
        return Refusal::Request("no provider is known by this path".into()).answer(dialect);
    };
    let closed = door.closed();
    // Boxed, so that its memory is given back when the answer begins and not when the connection ends.
    let answered = Box::pin(async {
        check(shared, &route, &door, &request)?;
        let (head, body) = request.into_parts();
        let forward = Forward {
            shared,
            door: &door,
            route: &route,
            place: presented.place,
            method: head.method,
            headers: headers::to_provider(&head.headers),
            intake: shared.room.take(body).await?,
        };
        forward.run().await
    });
    let answer = tokio::select! {
        answer = answered => answer,
        () = closed => Err(Refusal::Token),
    };
    answer.unwrap_or_else(|refusal| refusal.answer(dialect))
}

/// What can be refused before anything is read.
fn check(
    shared: &Shared,
    route: &Route,
    door: &Door,
    request: &Request<Incoming>,
) -> Result<(), Refusal> {
    if request.headers().contains_key(header::UPGRADE) {
        return Err(Refusal::Upgrade);
    }
    if !shared.providers.contains(&route.provider) {
        return Err(Refusal::NoProvider(whom(shared, &route.provider)));
    }
    let spent = |budget: &Budget, whose: &str| {
        Err(Refusal::Budget(format!("the budget of {whose} is spent ({budget})")))
    };
    let caller = &door.caller;
    if shared.options.budget.is_spent(&shared.ledger(|ledger| ledger.spent())) {
        return spent(&shared.options.budget, "this run");
    }
    if caller.budget.is_spent(&door.ledger().spent()) {
        return spent(&caller.budget, "this task");
    }
    Ok(())
}

/// What to say of a provider without keys, which may be a path without a provider.
fn whom(shared: &Shared, provider: &str) -> String {
    let bases: Vec<_> = shared.providers.iter().map(|name| base_path(name)).collect();
    let bases = if bases.is_empty() { "none".to_owned() } else { bases.join(" and ") };
    format!("who '{provider}' is: base URLs with keys here end in {bases}")
}
