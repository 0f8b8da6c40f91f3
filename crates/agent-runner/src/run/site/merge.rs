//! The way back: one at a time, checked again where it is to land, never without a claim.
//!
//! Git blocks, the check does not. So git works in a thread of its own and asks, when it has the
//! work where it should land, whether that may be; the answer comes from here.

use std::{fs, path::Path, slice, time::Duration};

use agent_runner_pool::Context;
use agent_runner_task_store::Beat;
use agent_runner_worktree::{Blocked, Candidate, Conflict, Merge, Turn};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::{Own, Setting, Sites, own::failed};
use crate::{
    error::chain_of,
    run::{
        attempt::{Attempts, Ended, Files, Order},
        history::History,
        judge,
        outcome::Outcome,
        proof::{self, Merged},
        queue::Job,
    },
    units::count,
};

/// How often is asked whether another run has merged what it was about to.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Work that lies where it should land. Git waits for the answer.
struct Question {
    is_changed: bool,
    answer: oneshot::Sender<Result<(), Box<Ended>>>,
}

/// Asks, and waits for the answer. If nobody is there to give it, the run is over.
fn asked(
    ask: &mpsc::Sender<Question>,
    candidate: &Candidate<'_>,
    folder: &Path,
) -> Result<(), Box<Ended>> {
    // Git knows no empty folders. If it cannot be made, the check says so.
    drop(fs::create_dir_all(folder));
    let (answer, answered) = oneshot::channel();
    let gone = || Box::new(judge::ordered(Order::Stop));
    let question = Question { is_changed: candidate.is_changed, answer };
    ask.blocking_send(question).map_err(|_| gone())?;
    answered.blocking_recv().unwrap_or_else(|_| Err(gone()))
}

impl Sites {
    /// Waits for one's turn among the workers of this run, then among the runs.
    ///
    /// # Cancel safety
    ///
    /// One's place in the queue is lost when the future is dropped.
    async fn turn(&self) -> Result<(OwnedMutexGuard<()>, Turn), agent_runner_worktree::Error> {
        let first = self.queue.clone().lock_owned().await;
        let worktrees = self.worktrees.as_ref().expect("only work from a worktree is merged");
        loop {
            if let Some(turn) = worktrees.try_turn()? {
                return Ok((first, turn));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

impl Attempts {
    /// Merges what an attempt has saved, if that is wanted. The agent and the check were content.
    pub(in crate::run) async fn merge(
        &self,
        own: &mut Own,
        job: &Job,
        context: &Context,
        files: &Files,
        history: &History,
        mut agent: Ended,
    ) -> Ended {
        agent.proof.ready = true;
        let waits = self.desks.waits_to_merge(context.worker());
        let turn = tokio::select! {
            turn = self.sites.turn() => turn,
            order = self.ordered(job, context) => return agent.but(judge::ordered(order)),
        };
        drop(waits);
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => return agent.but(failed("could not wait to merge its work", &error)),
        };
        let Some(checkpoint) = own.checkpoint.clone() else { return agent };
        let (ask, mut questions) = mpsc::channel(1);
        let (setting, target) = (own.setting(), own.target().to_owned());
        let folder = setting.folder.clone();
        let git = own.with(move |worktree| {
            let (_first, turn) = turn;
            worktree.merge_in(&turn, &checkpoint, |candidate| asked(&ask, candidate, &folder))
        });
        let mut git = std::pin::pin!(git);
        let mut checks = Checks { attempts: self, job, context, setting, files, agent };
        let merge = loop {
            tokio::select! {
                merge = &mut git => break merge,
                Some(question) = questions.recv() => {
                    let may = checks.may_land(question.is_changed).await;
                    // Git is gone only if this is, too.
                    drop(question.answer.send(may.map_err(Box::new)));
                }
            }
        };
        let agent = checks.agent;
        let times = history.times_in_the_way();
        let in_the_way = |why: String| {
            let message = format!("could not be merged into {target}: {why}");
            Ended::in_the_way(Outcome::MergeBlocked, message, times)
        };
        match merge {
            Ok(Merge::Merged(merged)) => agent.merged(target, merged.commit.to_string(), false),
            Ok(Merge::Already(commit)) => agent.merged(target, commit.to_string(), true),
            Ok(Merge::Conflict(conflict)) => agent.conflicts(&conflict),
            Ok(Merge::Refused(said)) => agent.but(*said),
            Ok(Merge::Blocked(blocked)) => agent.but(in_the_way(named(&blocked))),
            // Nothing was changed, and nothing has to be.
            Ok(_) => agent,
            // Nor is that the fault of work which only has to be merged.
            Err(error) => agent.but(in_the_way(chain_of(&error))),
        }
    }
}

/// What is asked before work lands.
struct Checks<'a> {
    attempts: &'a Attempts,
    job: &'a Job,
    context: &'a Context,
    setting: Setting,
    files: &'a Files,
    agent: Ended,
}

impl Checks<'_> {
    /// Whether work may land: the check is content with it there, and the task is still ours.
    async fn may_land(&mut self, is_changed: bool) -> Result<(), Ended> {
        if is_changed {
            self.check().await?;
        }
        let fence = slice::from_ref(&self.job.claim.fence);
        match self.attempts.store.heartbeat(fence).await {
            Ok(beats) => match beats.first() {
                Some(Beat::Continue) => Ok(()),
                Some(Beat::Cancel) => Err(judge::ordered(Order::Cancel)),
                _ => Err(judge::ordered(Order::Lost)),
            },
            Err(error) => {
                let message = format!("could not make sure of its claim: {}", chain_of(&error));
                Err(Ended::new(Outcome::Stopped, message))
            }
        }
    }

    async fn check(&mut self) -> Result<(), Ended> {
        let Self { attempts, job, context, setting, files, agent } = self;
        let exit = attempts.check(job, context, setting, files, &files.merge_log).await?;
        let Some(exit) = exit else { return Ok(()) };
        agent.duration += exit.duration;
        agent.proof.survivors += exit.survivors;
        if exit.is_success() { Ok(()) } else { Err(judge::refused(&exit)) }
    }
}

/// What is in the way, in words that begin with it: a line for people is cut where it is long.
fn named(Blocked { path, files, reason, .. }: &Blocked) -> String {
    let path = path.display();
    match &files[..] {
        [] => format!("'{path}' is in the way: {reason}"),
        [file] => format!("{file} in '{path}' is in the way: {reason}"),
        [file, rest @ ..] => {
            let others = count(rest.len() as u64, "other");
            format!("{file} and {others} in '{path}' are in the way: {reason}")
        }
    }
}

impl Ended {
    fn merged(mut self, target: String, commit: String, already: bool) -> Self {
        self.proof.merged = Some(Merged { target, commit, already });
        self.proof.ready = false;
        self
    }

    /// Told so that the next agent can mend it.
    fn conflicts(self, conflict: &Conflict) -> Self {
        let target = &conflict.target;
        let message = format!(
            "{conflict}\n\nThe work is still there. Bring {target} into it (`git merge {target}`), mend these sites, and finish the task."
        );
        let files = conflict.files.iter().map(|file| file.path.display());
        let mut ended = self.but(Self::new(Outcome::Conflict, message));
        ended.proof.conflicts = proof::names(files);
        ended
    }
}
