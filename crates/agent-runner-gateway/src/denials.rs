//! What providers said of models that no key may use, to be said again.
//!
//! Such a model is not asked for again for a while, and still a client has to learn why: the first
//! time and the tenth.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use hyper::{HeaderMap, Response, StatusCode, body::Bytes};

use crate::body::Body;

/// How many are kept.
const MOST: usize = 64;

/// The last word of a provider about each model.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<HashMap<(String, String), Denial>>);

#[derive(Debug)]
struct Denial {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Denials {
    /// Keeps an answer, as a client gets it.
    pub(crate) fn keep(
        &self,
        (provider, model): (&str, &str),
        answer: &Response<Body>,
        body: Bytes,
    ) {
        let denial = Denial { status: answer.status(), headers: answer.headers().clone(), body };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((provider.to_owned(), model.to_owned()), denial);
    }

    /// What was said of this model of this provider.
    pub(crate) fn find(&self, (provider, model): (&str, &str)) -> Option<Response<Body>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let denial = all.get(&(provider.to_owned(), model.to_owned()))?;
        let mut answer = Response::new(Body::from(denial.body.clone()));
        *answer.status_mut() = denial.status;
        *answer.headers_mut() = denial.headers.clone();
        Some(answer)
    }
}
