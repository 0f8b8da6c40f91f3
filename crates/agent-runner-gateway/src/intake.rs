//! Takes a request in: all of it, within bounds, and what has to be known of it.

use std::{ops::Range, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{answer::Refusal, scan::Scanner};

const FIELDS: &[&str] = &["model", "max_tokens", "max_output_tokens", "max_completion_tokens"];
/// In which the room for bodies is counted.
const UNIT: usize = 1024;

/// A request's body.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) body: Bytes,
    pub(crate) model: Option<String>,
    /// Where the model stands in the body, quotes included.
    model_at: Range<usize>,
    /// Output tokens that it allows.
    pub(crate) most_output: Option<u64>,
    _room: Option<OwnedSemaphorePermit>,
}

/// The room for bodies that are under way.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    left: Arc<Semaphore>,
    largest: usize,
    patience: Duration,
}

impl Room {
    pub(crate) fn new(total: usize, largest: usize, patience: Duration) -> Self {
        let total = total.max(largest).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(total)), largest, patience }
    }

    /// Takes a body in.
    pub(crate) async fn take(&self, body: Incoming) -> Result<Intake, Refusal> {
        timeout(self.patience, self.read(body)).await.unwrap_or(Err(Refusal::TooSlow))
    }

    async fn read(&self, mut body: Incoming) -> Result<Intake, Refusal> {
        let told = body.size_hint().upper().unwrap_or(0);
        let told = usize::try_from(told).ok().filter(|told| *told <= self.largest);
        let Some(told) = told else { return Err(self.too_large(body).await) };
        let mut room = self.wait(told).await?;
        let mut text = Vec::with_capacity(told);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Request("the body is broken".into()))?;
            let Some(bytes) = frame.data_ref() else { continue };
            if text.len() + bytes.len() > self.largest {
                drop(text);
                return Err(self.too_large(body).await);
            }
            self.grow(&mut room, text.len() + bytes.len())?;
            text.extend_from_slice(bytes);
        }
        Ok(Intake::new(text.into(), room))
    }

    /// Lets a client finish, for a moment: one that is cut off while it writes never reads why.
    async fn too_large(&self, mut body: Incoming) -> Refusal {
        const MOMENT: Duration = Duration::from_secs(2);
        let mut left = self.largest;
        let rest = async {
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        drop(timeout(MOMENT, rest).await);
        Refusal::TooLarge(self.largest)
    }

    /// Room for what was announced.
    async fn wait(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        let units = units(bytes);
        if units == 0 {
            return Ok(None);
        }
        let room = Arc::clone(&self.left).acquire_many_owned(units).await;
        room.map(Some).map_err(|_| Refusal::Crowded)
    }

    /// Room for what was not. It is not waited for, since others may wait who have some already.
    fn grow(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Refusal> {
        let have = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = units(bytes).saturating_sub(u32::try_from(have).unwrap_or(u32::MAX));
        if more == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.left).try_acquire_many_owned(more);
        let more = more.map_err(|_| Refusal::Crowded)?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }
}

impl Intake {
    fn new(body: Bytes, room: Option<OwnedSemaphorePermit>) -> Self {
        let mut intake = Self { body, model: None, model_at: 0..0, most_output: None, _room: room };
        let body = intake.body.clone();
        Scanner::new(FIELDS).feed(&body, |found| match found.key {
            "model" => {
                intake.model = serde_json::from_slice(found.value).ok();
                intake.model_at = found.range;
            }
            _ => intake.most_output = serde_json::from_slice(found.value).ok(),
        });
        intake
    }

    /// The body with another model, and not a byte changed beside.
    pub(crate) fn with_model(&self, model: Option<&str>) -> Bytes {
        let Some(model) =
            model.filter(|model| self.model.as_deref().is_some_and(|it| it != *model))
        else {
            return self.body.clone();
        };
        let name = serde_json::Value::from(model).to_string();
        let (before, after) = (&self.body[..self.model_at.start], &self.body[self.model_at.end..]);
        [before, name.as_bytes(), after].concat().into()
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_changes_nothing_else() {
        let text = "{ \"stream\" : true,\n\"messages\":[{\"content\":\"\\\"model\\\":\\\"x\\\"\"}],  \"model\" :  \"old\" , \"max_tokens\":77}";
        let intake = Intake::new(text.into(), None);
        assert_eq!((intake.model.as_deref(), intake.most_output), (Some("old"), Some(77)));
        assert_eq!(intake.with_model(Some("new")), text.replace("\"old\"", "\"new\""));
        for same in [None, Some("old")] {
            assert_eq!(intake.with_model(same).as_ptr(), intake.body.as_ptr(), "not even copied");
        }
        let without = Intake::new("{}".into(), None);
        assert_eq!(without.with_model(Some("new")), "{}");
    }
}
