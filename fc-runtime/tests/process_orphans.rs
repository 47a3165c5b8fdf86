//! RUN-2 (I18): a platform that inherits orphans, as a container's first process does, takes them
//! away. Alone in its file: it changes what its process is to the kernel, and counts its children.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod process_support;

use process_support::*;

/// A program with a child that leaves the group, and grandchildren that do not.
const FAMILY: &str = "#!/usr/bin/env python3
import os, socket, time
listener = socket.socket()
listener.bind(('0.0.0.0', int(os.environ['FC_CUSTOM_LISTEN_PORT'])))
listener.listen()
if os.fork() == 0:
    os.setsid()
    while True:
        time.sleep(100)
if os.fork() == 0:
    if os.fork() == 0:
        # Ended before its instance is: an orphan by then.
        time.sleep(0.05)
        os._exit(0)
    if os.fork() == 0:
        while True:
            time.sleep(100)
    os._exit(0)
os.wait()
while True:
    connection, _ = listener.accept()
    while connection.recv(65536):
        connection.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_2_a_reaper_keeps_no_zombies() {
    bounded(async {
        rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).unwrap();
        let function = Function::new(FAMILY);
        let runtime = runtime();
        assert_eq!(children(), 0);
        for _ in 0..5 {
            let instance = function.start(&runtime).await.unwrap();
            assert_eq!(call(&instance, &function, "/").await.unwrap(), "ok");
            // The orphan's end.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            assert!(children() > 1, "nothing was inherited: the test proves nothing");
            instance.stop(cx()).await.unwrap();
            assert_eq!(children(), 0);
        }
    })
    .await;
}
