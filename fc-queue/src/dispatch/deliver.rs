//! A result on its way to somewhere outside.

use fc_core::port::queue::Verdict;
use fc_core::{Context, Deadline, Error, Result, TaskStatus, Timestamp};

use super::ending;
use super::lease::{Held, Lost};
use super::run::{Load, Work, note_of, settle};
use crate::core::destination::{Address, Message, Source};
use crate::core::retry::Next;
use crate::counters::Count;

/// Delivers a result once; again by the delivery's policy, and as long as that allows.
pub(super) async fn deliver(
    work: &Work<'_>,
    destination: &str,
    status: TaskStatus,
    held: &mut Held<'_>,
) -> Result<Load, Lost> {
    let shared = work.shared;
    let policy = &shared.config.delivery;
    let delivered = match message(work, destination, status) {
        Ok((address, message)) => {
            let clock = &shared.ports.clock;
            let cx = Context { attempt: work.progress.attempts(), ..shared.context() };
            let cx = cx.with_deadline(Deadline::at(clock.now() + shared.config.delivery_timeout));
            let sent = shared.ports.destinations.deliver(cx, &address, &message);
            let sent = clock.with_deadline(cx.deadline.hard, sent);
            let sent = shared.abandoning.run_until_cancelled(sent);
            match held.during(sent).await? {
                Some(Ok(sent)) => sent,
                Some(Err(_)) => {
                    let what = format!("no answer within {:?}", shared.config.delivery_timeout);
                    Err(Error::internal(what))
                }
                // Whoever comes next delivers it: at least once.
                None => Err(Error::internal("the platform shuts down")),
            }
        }
        Err(error) => Err(error),
    };
    let error = match delivered {
        Ok(()) => {
            ending::delivered(work, true, held).await?;
            return settle(held, Verdict::Done, &[Count::DeliveryDone]).await;
        }
        Err(error) => error,
    };
    tracing::warn!(task = work.envelope.head.task_id, destination, %error, "not delivered");
    let now = shared.wall.now();
    let decision = policy.decide(&work.progress, Some(error.retry()), now, work.seed());
    if let Next::Retry { at } = decision.next {
        let verdict = Verdict::Retry { at, note: note_of(&decision.progress) };
        return settle(held, verdict, &[Count::DeliveryRetried]).await;
    }
    ending::delivered(work, false, held).await?;
    settle(held, ending::undeliverable(&error), &[Count::DeliveryDead]).await
}

fn message(work: &Work<'_>, destination: &str, status: TaskStatus) -> Result<(Address, Message)> {
    let head = &work.envelope.head;
    let address: Address = destination.parse()?;
    address.check_owner(work.account)?;
    let source = Source {
        region: &work.shared.config.region,
        account: work.account,
        function: &work.function,
        qualifier: &work.qualifier,
        version: fc_core::VersionId::LATEST,
    };
    let at = Timestamp::from_unix_millis(head.accepted_at);
    let record = work.envelope.body.clone();
    let (id, source) = (work.envelope.queue_id(), source.name(work.shared.record_form()));
    let message = Message::new(work.account, id, source, status, at, record)?;
    Ok((address, message))
}
