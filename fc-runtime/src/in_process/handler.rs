//! What a function of this process is.

use std::future::Future;
use std::pin::Pin;

use fc_core::{Context, Request, Response, Result};
use futures_util::FutureExt;
use tower_service::Service;

/// Why a handler gives no answer. Its text is what the caller reads.
pub type HandlerFailure = Box<dyn std::error::Error + Send + Sync>;

/// What a handler is doing.
pub type Work<'h, T> = Pin<Box<dyn Future<Output = Result<T, HandlerFailure>> + Send + 'h>>;

/// A function of this process. Usually made by [`handler_fn`] or [`service`].
///
/// An event invocation arrives as a `POST /invoke` whose body is the event, an HTTP trigger's
/// request as it was sent.
pub trait Handler: Send + Sync + 'static {
    /// Runs before the instance's first request, if the function has an initializer.
    ///
    /// # Errors
    ///
    /// The instance is not used.
    fn initialize(&self, cx: Context) -> Work<'_, ()> {
        let _ = cx;
        futures_util::future::ready(Ok(())).boxed()
    }

    /// Runs before the instance is stopped, if the function has a PreStop hook.
    ///
    /// # Errors
    ///
    /// Noted and ignored.
    fn pre_stop(&self, cx: Context) -> Work<'_, ()> {
        let _ = cx;
        futures_util::future::ready(Ok(())).boxed()
    }

    /// Answers one request.
    ///
    /// # Errors
    ///
    /// The invocation fails as `HandledInvocationError` with the error's text.
    fn call(&self, cx: Context, request: Request) -> Work<'_, Response>;
}

/// A handler from an asynchronous closure.
///
/// ```
/// use fc_core::{Body, Response};
/// use fc_runtime::in_process::handler_fn;
///
/// let echo = handler_fn(|_cx, request| async move { Ok(Response::new(request.into_body())) });
/// # let _ = echo;
/// ```
pub fn handler_fn<F, R>(function: F) -> impl Handler
where
    F: Fn(Context, Request) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Response, HandlerFailure>> + Send + 'static,
{
    HandlerFn(function)
}

struct HandlerFn<F>(F);

impl<F, R> Handler for HandlerFn<F>
where
    F: Fn(Context, Request) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Response, HandlerFailure>> + Send + 'static,
{
    fn call(&self, cx: Context, request: Request) -> Work<'_, Response> {
        Box::pin((self.0)(cx, request))
    }
}

/// A handler from a `tower::Service`, cloned per request. What it answers may have any body.
///
/// The request's [`Context`] is among its extensions.
pub fn service<S, B>(service: S) -> impl Handler
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<HandlerFailure>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<HandlerFailure>,
{
    ServiceHandler(service)
}

struct ServiceHandler<S>(S);

impl<S, B> Handler for ServiceHandler<S>
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<HandlerFailure>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<HandlerFailure>,
{
    fn call(&self, cx: Context, mut request: Request) -> Work<'_, Response> {
        let mut service = self.0.clone();
        request.extensions_mut().insert(cx);
        Box::pin(async move {
            std::future::poll_fn(|task| service.poll_ready(task)).await.map_err(Into::into)?;
            let response = service.call(request).await.map_err(Into::into)?;
            Ok(response.map(|body| fc_core::Body::stream(super::instance::Foreign::new(body))))
        })
    }
}
