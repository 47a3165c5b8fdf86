//! The sections of the queue's benchmark.
//!
//! Method: contenders take turns, A B A B, in one process, each in a directory of its own below the
//! machine's directory for temporary files; payloads are 1 KB of what does not compress.

pub(crate) mod commit;
pub(crate) mod dispatch;
pub(crate) mod idle;
pub(crate) mod million;
pub(crate) mod plain;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fc::core::port::queue::{Lane, NewTask};
use fc::core::{Context, Queue, RequestId, SystemClock};
use fc_queue::driver::embedded::{EmbeddedConfig, EmbeddedQueue};

pub(crate) const CX: Context = Context::new(RequestId::NIL);
pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn lane() -> Lane {
    Lane::new("lane").expect("a lane")
}

pub(crate) fn payload() -> Bytes {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..1024).map(next).collect::<Vec<u8>>().into()
}

pub(crate) fn open(dir: &Path) -> EmbeddedQueue {
    let clock = Arc::new(SystemClock::new());
    EmbeddedQueue::open(dir, &EmbeddedConfig::default(), clock).expect("the queue opens")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}

/// Pushes tasks of these numbers, 256 at a time.
pub(crate) async fn fill(queue: &Arc<EmbeddedQueue>, numbers: std::ops::Range<u64>, note: Bytes) {
    let payload = payload();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..256 {
        let (queue, payload, note) = (queue.clone(), payload.clone(), note.clone());
        let numbers = numbers.clone().skip(client).step_by(256);
        clients.spawn(async move {
            for number in numbers {
                let task = NewTask::new(format!("a-task-of-number-{number:012}"), payload.clone());
                let task = NewTask { note: note.clone(), ..task };
                queue.push(CX, &lane(), task).await.expect("pushed");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no panic");
    }
}
