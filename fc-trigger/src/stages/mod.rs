//! What happens to one request, in order. [`handle`] is the page to read.

mod access;
mod answer;
mod authority;
mod control;
mod inbound;
mod outbound;
mod queued;
mod refusal;
mod route;
mod survey;
mod tasks;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fc_core::{
    Action, AuthType, Body, Context, Error, ErrorKind, FunctionVersion, Invocation, InvocationKind,
    Qualifier, RequestId, Target,
};
use http::request::Parts;
use http::{Response, StatusCode};

pub(crate) use inbound::Inbound;

use crate::gateway::{PeerAddr, Shared};
use crate::link::Call;
use access::Access;
use answer::Asked;
use control::{Control, Queueing};
use refusal::Refusal;
use route::Route;
use survey::Survey;
use tasks::Order;

/// Where an error is seen: its shape depends on it (`alibaba-fc.md` 1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Surface {
    /// The platform's API, and hosts that are nobody's.
    Api,
    /// A function's HTTP trigger.
    Trigger,
}

impl Surface {
    fn kind(self) -> InvocationKind {
        match self {
            Self::Api => InvocationKind::Event,
            Self::Trigger => InvocationKind::Http,
        }
    }
}

/// One request in the service. Every stage works on it in place: it is moved once, to the heap.
#[derive(Debug)]
pub(crate) struct Exchange {
    call: Call,
    head: Parts,
    inbound: Inbound,
    id: RequestId,
    surface: Surface,
    access: Access,
    is_head_only: bool,
    /// What the request is, if it is no invocation.
    order: Option<Box<Order>>,
}

/// What is left to do with an invocation that may go on.
struct Plan {
    version: Arc<FunctionVersion>,
    qualifier: Qualifier,
    control: Control,
    has_platform: bool,
}

/// Answers one request, whatever comes of it.
///
/// A block and no `async fn`, which keeps each of its arguments twice: over 1 KB, the allocator
/// leaves its fast path.
pub(crate) fn handle(
    call: Call,
    head: Parts,
    inbound: Inbound,
) -> impl Future<Output = Response<Body>> + Send {
    let ports = &call.link().shared.ports;
    let id = ports.request_ids.next(ports.clock.wall());
    let access = Access::begin(id, &head);
    // The function gets the head, method and all.
    let is_head_only = head.method == http::Method::HEAD;
    let surface = Surface::Api;
    let mut exchange =
        Exchange { call, head, inbound, id, surface, access, is_head_only, order: None };
    async move {
        let answered = exchange.serve().await;
        exchange.finish(answered)
    }
}

impl Exchange {
    /// Strict, route, resolve, strip, authorise, invoke.
    async fn serve(&mut self) -> Result<Response<Body>, Refusal> {
        let Some(plan) = self.plan()? else {
            // Boxed, like all that most requests do not do.
            return Box::pin(self.detour()).await;
        };
        let ports = &self.call.link().shared.ports;
        let cx = Context::new(self.id);
        if let Some(authorize) = &ports.authorize {
            let action = match self.surface {
                Surface::Api => Action::InvokeFunction(&plan.version),
                Surface::Trigger => Action::CallTrigger(&plan.version),
            };
            authorize.authorize(cx, &self.head, action).await?;
        }
        if plan.has_platform {
            control::strip(&mut self.head.headers);
        }
        let Control { log, queued } = plan.control;
        let port = match (&queued, &ports.enqueue) {
            (None, _) => &ports.invoke,
            (Some(_), Some(enqueue)) => enqueue,
            (Some(_), None) => return Err(Error::internal("nobody queues").into()),
        };
        if self.inbound.wants_priming() {
            // Boxed: most requests have no body.
            Box::pin(self.inbound.prime()).await?;
        }
        let (body, fault) = self.inbound.take();
        let invocation = Invocation {
            target: Target::Resolved { version: plan.version, qualifier: plan.qualifier },
            kind: self.surface.kind(),
            client_ip: client_ip(&self.call, &self.head),
            log,
            asynchronous: queued.as_ref().map(|queued| queued.asynchronous.clone()),
            request: request(&mut self.head, self.surface, body),
        };
        let invoked = fault.guard(port.invoke(cx, invocation));
        match invoked.await? {
            Ok(reply) => match queued {
                None => {
                    let asked = Asked { id: self.id, surface: self.surface, log };
                    answer::of(asked, reply, &self.call.link().shared.config)
                }
                Some(queued) => {
                    let dialect = self.call.link().shared.config.limits.dialect;
                    queued::accepted(self.id, &reply, &queued, dialect)
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    /// What is no invocation.
    async fn detour(&mut self) -> Result<Response<Body>, Refusal> {
        match self.order.take() {
            Some(order) => self.manage(order).await,
            None => health(&self.call.link().shared, self.id),
        }
    }

    /// All that needs no waiting, up to the authoriser. `None` for what is no invocation: an order, or
    /// `/healthz`.
    fn plan(&mut self) -> Result<Option<Plan>, Refusal> {
        let shared = &*self.call.link().shared;
        let limits = &shared.config.limits;
        if let Some(violation) = self.call.violation {
            return Err(violation.error().into());
        }
        let survey = Survey::of(&self.head.headers);
        let host = authority::of(&self.head, &survey)?;
        let label = authority::label(host, &shared.config.suffixes);
        if label.is_some() {
            self.surface = Surface::Trigger;
        }
        survey.check(&self.head.uri, limits)?;
        let queueing = Queueing::of(shared, self.surface);
        let control = Control::read(&self.head.headers, &survey, queueing)?;
        let (has_platform, strips) = (survey.has_platform, survey.strips());
        let (version, qualifier) = match route::of(&self.head, label)? {
            Route::Health => {
                control.check_no_invocation()?;
                return Ok(None);
            }
            Route::Manage(call) => {
                let Some(tasks) = &shared.ports.tasks else {
                    return Err(
                        route::not_supported(&self.head.method, self.head.uri.path()).into()
                    );
                };
                control.check_no_invocation()?;
                let order = Order::new(tasks, call, self.head.uri.query())?;
                survey::strip(&mut self.head, strips)?;
                self.order = Some(Box::new(order));
                return Ok(None);
            }
            Route::Function { name, qualifier } => (resolve(shared, name, &qualifier)?, qualifier),
            Route::Trigger { name } => {
                let version = resolve(shared, name, &Qualifier::default())?;
                admit(shared, &self.head, &version)?;
                (version, Qualifier::default())
            }
        };
        self.access.function(&version);
        match control.queued {
            None => self.inbound.check_declared(limits.request_body_bytes_max)?,
            Some(_) => self.inbound.queue_within(limits.async_request_body_bytes_max)?,
        }
        survey::strip(&mut self.head, strips)?;
        Ok(Some(Plan { version, qualifier, control, has_platform }))
    }

    fn finish(self, answered: Result<Response<Body>, Refusal>) -> Response<Body> {
        let Self { call, id, surface, access, is_head_only, .. } = self;
        let mut response = match answered {
            Ok(response) => response,
            Err(refusal) => refusal.answer(id, surface, call.link().shared.config.limits.dialect),
        };
        if call.violation.is_some() {
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert(http::header::CONNECTION, close);
        }
        if is_head_only {
            response = answer::without_body(response);
        }
        response = outbound::carried(response, call.link().carrier);
        // A body that is still being made belongs to the call.
        if !response.body().is_in_memory() {
            response = response.map(|body| body.guarded(move |_| drop(call)));
        }
        access.answered(response)
    }
}

fn resolve(
    shared: &Shared,
    name: &str,
    qualifier: &Qualifier,
) -> fc_core::Result<Arc<FunctionVersion>> {
    shared.ports.catalog.resolve(&shared.config.account, name, qualifier)
}

/// Whether the version has a trigger that takes this request.
fn admit(shared: &Shared, head: &Parts, version: &FunctionVersion) -> Result<(), Refusal> {
    let Some((methods, auth)) = version.http_trigger() else {
        let message = format!("function '{}' has no HTTP trigger", version.name());
        return Err(Error::new(ErrorKind::TriggerNotFound, message).into());
    };
    if !methods.contains(&head.method) {
        return Err(Refusal::method_not_allowed(&head.method, methods));
    }
    if auth != AuthType::Anonymous && shared.ports.authorize.is_none() {
        let message = "the trigger authenticates its callers, and this gateway cannot";
        return Err(Error::new(ErrorKind::AccessDenied, message).into());
    }
    Ok(())
}

/// What the function gets: on a trigger the caller's own request, for an event the payload alone.
fn request(head: &mut Parts, surface: Surface, body: Body) -> fc_core::Request {
    let mut request = http::Request::new(body);
    match surface {
        Surface::Trigger => {
            *request.method_mut() = std::mem::take(&mut head.method);
            *request.uri_mut() = std::mem::take(&mut head.uri);
            *request.headers_mut() = std::mem::take(&mut head.headers);
        }
        Surface::Api => {
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = http::Uri::from_static("/invoke");
        }
    }
    request
}

fn client_ip(call: &Call, head: &Parts) -> Option<std::net::IpAddr> {
    let peer = call.link().peer;
    let peer = peer.or_else(|| head.extensions.get::<PeerAddr>().map(|peer| peer.0));
    peer.map(|peer| peer.ip())
}

fn health(shared: &Shared, id: RequestId) -> Result<Response<Body>, Refusal> {
    if shared.draining.load(Ordering::Acquire) {
        let error = Error::new(ErrorKind::ResourceThrottled, "the gateway is shutting down");
        return Err(error.into());
    }
    let mut response = Response::new(Body::from("ok"));
    *response.status_mut() = StatusCode::OK;
    answer::stamp(&mut response, id, shared.config.limits.dialect);
    Ok(response)
}
