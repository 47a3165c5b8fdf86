//! A file system that is full.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask, Verdict};
use fc_core::{Clock, Context, ErrorKind, Queue, RequestId, SystemClock};
use fc_queue::driver::embedded::{EmbeddedConfig, EmbeddedQueue};

use super::child;

const CX: Context = Context::new(RequestId::NIL);
const LONG: Duration = Duration::from_secs(3600);

/// In a mount namespace of its own, with a file system of 4 MB that goes with it.
#[test]
fn a_full_file_system_refuses_pushes_and_recovers_without_a_restart() {
    if let Some(role) = child::role() {
        return fill(Path::new(&role));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let test = "full::a_full_file_system_refuses_pushes_and_recovers_without_a_restart";
    let root = ["unshare", "--mount"];
    let user = ["unshare", "--user", "--map-root-user", "--mount"];
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|it| {
        use std::os::unix::fs::MetadataExt;
        it.uid() == 0
    });
    let wrapper: &[&str] = if is_root { &root } else { &user };
    let role = dir.path().to_str().expect("a name that is text");
    let output = child::start(test, role, wrapper).wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
}

fn fill(dir: &Path) {
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(dir).status();
    assert!(mount.is_ok_and(|status| status.success()), "a tmpfs is mounted (Debian: mount)");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(fill_and_empty(dir));
}

async fn fill_and_empty(dir: &Path) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = EmbeddedConfig { segment_bytes: 512 * 1024, ..EmbeddedConfig::default() };
    let queue = EmbeddedQueue::open(dir.join("queue"), &config, clock.clone()).expect("it opens");
    let lane = Lane::new("lane").expect("a lane");
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 2 * 1024 * 1024]).expect("room for ballast");
    let push = |id: String| queue.push(CX, &lane, NewTask::new(id, vec![2; 4000]));
    let mut pushed = 0;
    let refused = loop {
        match push(format!("{pushed}")).await {
            Ok(_) => pushed += 1,
            Err(error) => break error,
        }
        assert!(pushed < 2000, "it is never full");
    };
    assert_eq!(refused.kind(), ErrorKind::ResourceThrottled, "{refused}");
    let text = refused.to_string();
    assert!(text.contains("the disk is full") && text.contains("queue"), "{text}");
    // Reading and settling go on.
    let leased = queue.lease(CX, &lane, 3, LONG).await.expect("leased");
    assert_eq!(leased.len(), 3);
    for leased in leased {
        assert_eq!(leased.payload, vec![2; 4000]);
        queue.settle(CX, &leased.token, Verdict::Done.into()).await.expect("settled");
    }
    std::fs::remove_file(&ballast).expect("the ballast goes");
    let mut tries = 0;
    for index in 0..100 {
        while let Err(error) = push(format!("more-{index}")).await {
            tries += 1;
            assert!(tries < 100, "not recovered: {error}");
            clock.sleep_until(clock.now() + Duration::from_millis(50)).await;
        }
    }
    drop(queue);
    let queue = EmbeddedQueue::open(dir.join("queue"), &config, clock).expect("it opens");
    assert_eq!(queue.depth(&lane).await.expect("a depth").waiting, pushed - 3 + 100);
}
