//! RUN-2 (I18): after many instances nothing is left. Alone in its file: it counts this process's
//! files and children.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod process_support;

use process_support::*;

/// A program that is up fast: it starts no Python.
const SMALL: &str = "#!/usr/bin/env python3
import os, socket
listener = socket.socket()
listener.bind(('0.0.0.0', int(os.environ['FC_CUSTOM_LISTEN_PORT'])))
listener.listen()
if os.fork() == 0:
    os.setsid()
while True:
    connection, _ = listener.accept()
    while connection.recv(65536):
        connection.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_2_fifty_instances_leave_no_process_and_no_file() {
    bounded(async {
        let mut config = config();
        // Fewer ports than instances: each must come back.
        config.ports = *config.ports.start()..=*config.ports.start() + 6;
        let runtime = fc_runtime::process::ProcessRuntime::new(config, clock()).unwrap();
        let function = Function::new(SMALL);
        let warm = function.start(&runtime).await.unwrap();
        warm.stop(cx()).await.unwrap();
        drop(warm);
        let before = (open_files(), children());
        for _ in 0..10 {
            let starts = (0..5).map(|_| function.start(&runtime));
            let instances = futures_util::future::join_all(starts).await;
            for instance in &instances {
                let instance = instance.as_ref().unwrap();
                assert_eq!(call(instance, &function, "/").await.unwrap(), "ok");
            }
            let stops = instances.iter().map(|instance| instance.as_ref().unwrap().stop(cx()));
            for stopped in futures_util::future::join_all(stops).await {
                stopped.unwrap();
            }
        }
        assert_eq!((open_files(), children()), before);
    })
    .await;
}
