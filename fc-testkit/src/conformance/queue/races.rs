//! What happens at the same time: operations are linearizable per task.

use std::time::Duration;

use fc_core::ErrorKind;
use fc_core::port::queue::{Cancelled, Pushed, Verdict as End};
use futures_util::future::{join, join_all};

use super::Subject;
use super::trial::{HOLD, Trial, retried, task};
use crate::conformance::{Verdict, ensure, equal, soon};

/// Of several pushes of one id at the same time one is new.
pub async fn racing_pushes_of_one_id_give_one_new(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    for round in 0..10 {
        let id = format!("t{round}");
        let pushes = (0..8).map(|_| {
            let (t, id) = (t.clone(), id.clone());
            tokio::spawn(async move { t.push(task(&id)).await })
        });
        let mut new = 0;
        for pushed in soon("racing pushes", join_all(pushes)).await? {
            new += usize::from(pushed.map_err(|error| error.to_string())?? == Pushed::New);
        }
        equal("new tasks", new, 1)?;
    }
    equal("what is there", t.counts().await?, (10, 0, 0))
}

/// Several who lease at the same time get each task once.
pub async fn two_lessees_never_hold_one_task(subject: &Subject) -> Verdict {
    const LESSEES: usize = 4;
    const TASKS: usize = 40;
    let t = Trial::new(subject)?;
    for number in 0..TASKS {
        t.add(task(&format!("t{number:02}"))).await?;
    }
    let lessees = (0..LESSEES).map(|_| {
        let t = t.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            let mut misses = 0;
            while misses < 20 {
                let leased = t.lease(3, HOLD).await?;
                if leased.is_empty() {
                    misses += 1;
                    t.sleep(Duration::from_millis(5)).await;
                }
                held.extend(leased.into_iter().map(|leased| leased.token.task));
            }
            Ok::<_, String>(held)
        })
    });
    let mut all = Vec::new();
    for held in soon("racing leases", join_all(lessees)).await? {
        all.extend(held.map_err(|error| error.to_string())??);
    }
    all.sort_unstable();
    let must: Vec<_> = (0..TASKS).map(|number| format!("t{number:02}")).collect();
    equal("the tasks that were leased", all, must)
}

/// Of several settlements with one token at the same time one is taken.
pub async fn racing_settlements_of_one_lease_give_one(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    let far = t.at(600_000);
    for round in 0..10 {
        let held = t.hold(&format!("t{round}"), HOLD).await?;
        let settlements = (0..4).map(|number| {
            let (t, token) = (t.clone(), held.token.clone());
            let verdict = if number % 2 == 0 { End::Done } else { retried(far, "") };
            tokio::spawn(async move { t.settle(&token, verdict).await })
        });
        let mut taken = 0;
        for settled in soon("racing settlements", join_all(settlements)).await? {
            match settled.map_err(|error| error.to_string())? {
                Ok(()) => taken += 1,
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(format!("settle: {error:?}")),
            }
        }
        equal("settlements that were taken", taken, 1)?;
    }
    Ok(())
}

/// A task that is cancelled and leased at the same time is one of both.
pub async fn a_cancelled_task_is_never_leased(subject: &Subject) -> Verdict {
    let t = Trial::new(subject)?;
    for round in 0..20 {
        let id = format!("t{round}");
        t.add(task(&id)).await?;
        let race = join(t.cancel(&id), t.lease(1, HOLD));
        let (cancelled, leased) = soon("a cancellation and a lease", race).await?;
        let (cancelled, leased) = (cancelled?, leased?);
        let is_one = match cancelled {
            Cancelled::Removed => leased.is_empty(),
            Cancelled::Held => leased.len() == 1,
            Cancelled::Absent => false,
        };
        ensure(is_one, || format!("cancel: {cancelled:?}, leased: {leased:?}"))?;
        for held in leased {
            t.settled("done", &held.token, End::Done).await?;
        }
        t.none("a lane whose one task is over").await?;
    }
    Ok(())
}
