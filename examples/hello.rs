//! A function of this process, and one invocation of it: `cargo run --example hello`.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::time::Duration;

use fc::{Body, Platform, Response, handler_fn};

#[tokio::main]
async fn main() -> fc::Result<()> {
    let platform = Platform::builder().build()?;
    let greet = handler_fn(|_cx, request| async {
        let name = request.into_body().read(1024).await?;
        Ok(Response::new(Body::from(format!("Hello, {}!", String::from_utf8_lossy(&name)))))
    });
    platform.handle("hello", greet)?;

    let reply = platform.invoke("hello", "world").await?;
    let answer = reply.response.into_body().read(1024).await?;
    println!("{}", String::from_utf8_lossy(&answer));

    platform.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
