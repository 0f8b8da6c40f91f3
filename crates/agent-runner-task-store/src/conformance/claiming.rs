//! Claiming: who gets what, and nobody twice.

use std::{collections::BTreeSet, sync::Arc};

use super::subject::{
    LEASE, RELEASED, Subject, after, request, seconds, tagged, task, words, worker,
};
use crate::{ClaimRequest, Clock, CommandLine, NewTask, StoreError, Takes, TaskStatus, Verdict};

pub(super) async fn nothing_comes_from_an_empty_store(s: &Subject) {
    assert_eq!(s.try_claim().await, None);
    assert_eq!(s.counts().await.total(), 0);
    assert_eq!(s.next_due().await, None);
    assert!(s.running().await.is_empty());
}

pub(super) async fn higher_priority_first_then_the_order_of_adding(s: &Subject) {
    let prio = |name: &str, priority| NewTask { priority, ..task(name) };
    s.add([prio("a", 0), prio("b", 5), prio("c", -5), prio("d", 5)]).await;
    s.add([prio("e", i32::MAX), prio("f", i32::MIN), prio("g", 0)]).await;
    assert_eq!(s.claim_all().await, ["e", "b", "d", "a", "g", "c", "f"]);
}

pub(super) async fn a_claim_says_what_is_to_be_done(s: &Subject) {
    s.add([task("a")]).await;
    let claim = s.claim().await;
    assert_eq!((claim.fence.attempt, claim.task.attempt), (1, 1), "the first attempt");
    assert_eq!(claim.task.status, TaskStatus::Running);
    assert_eq!(claim.task, s.get("a").await, "the task as it stands");
    assert_eq!(s.counts_add_up().await.running, 1);
    s.finish(&claim, RELEASED).await;
    let again = s.claim().await;
    assert_eq!(again.fence.attempt, 2, "attempts only grow");
    assert_ne!(again.fence.nonce, claim.fence.nonce, "the word is drawn anew");
}

pub(super) async fn only_tasks_with_one_of_the_tags(s: &Subject) {
    s.add([task("plain"), tagged("r", &["rust"]), tagged("rs", &["slow", "rust"])]).await;
    s.add([NewTask { priority: 1, ..tagged("s", &["slow"]) }]).await;
    let claimed = |claim: Option<crate::Claim>| claim.map(|claim| claim.fence.task.to_string());
    assert_eq!(claimed(s.claim_tagged(&["none"]).await), None);
    assert_eq!(claimed(s.claim_tagged(&["rust", "slow"]).await).as_deref(), Some("s"));
    assert_eq!(claimed(s.claim_tagged(&["slow"]).await).as_deref(), Some("rs"));
    assert_eq!(claimed(s.claim_tagged(&["slow"]).await), None, "none is claimed twice");
    assert_eq!(claimed(s.claim_tagged(&["rust"]).await).as_deref(), Some("r"));
    assert_eq!(s.claim_all().await, ["plain"], "no tags asked for means any task");
}

pub(super) async fn only_tasks_whose_command_is_taken(s: &Subject) {
    let with = |name: &str, command: &str| NewTask {
        command: Some(CommandLine::Argv(vec![command.into(), name.into()])),
        ..tagged(name, &["x"])
    };
    s.add([task("plain"), with("a", "one"), with("b", "other"), tagged("tagged", &["x"])]).await;
    s.add([NewTask { priority: 9, ..with("first", "other") }]).await;
    let claim = async |tags: &[&str], taken: &'static [Option<&str>]| {
        let takes = Takes::new(move |command| {
            let program = match command {
                Some(CommandLine::Argv(words)) => Some(words[0].as_str()),
                Some(CommandLine::Shell(line)) => Some(line.as_str()),
                None => None,
            };
            taken.contains(&program)
        });
        let request = ClaimRequest { tags: words(tags), takes, ..request() };
        let claim = s.store.claim(&request).await.expect("claiming works");
        claim.map(|claim| claim.fence.task.to_string())
    };
    assert_eq!(claim(&[], &[]).await, None);
    assert_eq!(claim(&["x"], &[]).await, None);
    assert_eq!(claim(&[], &[Some("one")]).await.as_deref(), Some("a"), "others keep their place");
    assert_eq!(claim(&["x"], &[None]).await.as_deref(), Some("tagged"));
    assert_eq!(claim(&["x"], &[Some("other")]).await.as_deref(), Some("first"));
    assert_eq!(claim(&[], &[None, Some("one")]).await.as_deref(), Some("plain"));
    assert_eq!(claim(&[], &[None, Some("one")]).await, None);
    s.add([NewTask { prompt: "new".into(), ..task("b") }]).await;
    assert_eq!(claim(&[], &[Some("other")]).await, None, "b has lost its command");
    assert_eq!(s.claim_all().await, ["b"], "and is there for all who take anything");
}

pub(super) async fn tags_are_found_again_after_a_release(s: &Subject) {
    s.add([tagged("a", &["x"]), tagged("b", &["x"])]).await;
    let claim = s.claim_tagged(&["x"]).await.expect("there is a task");
    s.finish(&claim, RELEASED).await;
    let again = s.claim_tagged(&["x"]).await.expect("there is a task");
    assert_eq!(again.fence.task, claim.fence.task, "it has kept its place");
    s.add([NewTask { prompt: "else".into(), ..tagged("b", &["y"]) }]).await;
    assert_eq!(s.claim_tagged(&["x"]).await, None, "b has lost its tag");
    assert!(s.claim_tagged(&["y"]).await.is_some(), "and has another");
}

pub(super) async fn a_task_is_not_claimed_before_its_time(s: &Subject) {
    let at = s.clock.now() + seconds(10);
    let much_later = Some(at + seconds(10));
    s.add([NewTask { not_before: much_later, ..task("much later") }]).await;
    s.add([NewTask { not_before: Some(at), ..task("later") }, task("now")]).await;
    s.add([NewTask { not_before: Some(at), ..after("after", &["now"]) }]).await;
    assert_eq!(s.status("later").await, TaskStatus::Waiting);
    assert_eq!(s.next_due().await, Some(seconds(10)));
    assert_eq!(s.delayed(9).await, ["later", "much later"], "the other waits for more than time");
    assert_eq!(s.delayed(1).await, ["later"]);
    assert_eq!(s.cancel("much later").await, 1);
    assert_eq!(s.claim_all().await, ["now"]);
    s.pass(seconds(9));
    assert_eq!(s.try_claim().await, None);
    s.pass(seconds(1));
    let counts = s.counts_add_up().await;
    assert_eq!(s.delayed(9).await, [""; 0]);
    assert_eq!((counts.pending, counts.waiting), (1, 1), "a time that has come is no wait");
    assert_eq!(s.claim_all().await, ["later"]);
}

pub(super) async fn what_is_due_keeps_its_place(s: &Subject) {
    let at = Some(s.clock.now() + seconds(1));
    s.add([NewTask { not_before: at, ..task("a") }, task("b"), task("c")]).await;
    s.claim_of("b").await;
    s.pass(seconds(1));
    assert_eq!(s.claim_all().await, ["a", "c"], "first added, first claimed");
}

pub(super) async fn no_task_is_given_to_two(s: &Subject) {
    s.add((0..100).map(|n| task(&format!("t{n}")))).await;
    let claimers = (0..8).map(|number| {
        let store = Arc::clone(&s.store);
        tokio::spawn(async move {
            let request = ClaimRequest { worker: worker(number), ..request() };
            let mut got = Vec::new();
            while let Some(claim) = store.claim(&request).await? {
                got.push(claim.fence.task);
            }
            Ok::<_, StoreError>(got)
        })
    });
    let mut all = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.expect("no panic").expect("claiming works"));
    }
    assert_eq!(all.len(), 100, "each was claimed once");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 100, "and each by one");
    assert_eq!(s.counts_add_up().await.running, 100);
}

pub(super) async fn finishing_claims_the_next_at_once(s: &Subject) {
    s.add([task("a"), task("b")]).await;
    let claim = s.claim_of("a").await;
    let finish = |fence, next| {
        let report = super::subject::report(Verdict::Succeeded);
        async move { s.store.finish(fence, report, next).await.expect("the claim is held") }
    };
    let request = request();
    let done = finish(&claim.fence, Some(&request)).await;
    assert_eq!(done.status, TaskStatus::Succeeded);
    let next = done.next.expect("b is next");
    assert_eq!((next.fence.task.as_str(), next.fence.attempt), ("b", 1));
    let last = finish(&next.fence, Some(&request)).await;
    assert_eq!(last.next, None, "nothing is left");
    s.counts_add_up().await;
}

pub(super) async fn a_claim_nobody_receives_is_given_back(s: &Subject) {
    s.add([task("a")]).await;
    let polls = [1, 2, 3, 5, 8].into_iter().cycle().take(40);
    for polls in polls {
        let request = request();
        let mut claim = std::pin::pin!(s.store.claim(&request));
        let mut taken = None;
        for _ in 0..polls {
            let once = std::future::poll_fn(|context| {
                std::task::Poll::Ready(claim.as_mut().poll(context))
            });
            if let std::task::Poll::Ready(done) = once.await {
                taken = done.expect("claiming works");
                break;
            }
            tokio::task::yield_now().await;
        }
        // Whoever did receive it puts it back himself.
        if let Some(claim) = taken {
            s.finish(&claim, RELEASED).await;
        }
    }
    let mut claim = s.try_claim().await;
    // The claims that were dropped give themselves back in their own time, which is not the
    // clock's; every call to the store gives them some.
    for _ in 0..10_000 {
        if claim.is_some() {
            break;
        }
        tokio::task::yield_now().await;
        claim = s.try_claim().await;
    }
    let claim = claim.expect("the task is there to claim, long before the lease ends");
    assert_eq!(claim.task.failures + claim.task.recoveries, 0, "and nobody paid");
    assert!(LEASE > seconds(1), "the clock has not moved");
}
