//! What happens to one request, in order. [`handle`] is the page to read.

mod access;
mod answer;
mod authority;
mod control;
mod inbound;
mod refusal;
mod route;
mod survey;

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
use control::Control;
use refusal::Refusal;
use route::Route;
use survey::Survey;

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

/// Answers one request, whatever comes of it.
pub(crate) async fn handle(call: Call, mut head: Parts, inbound: Inbound) -> Response<Body> {
    let shared = &call.link().shared;
    let ports = &shared.ports;
    let id = ports.request_ids.next(ports.clock.wall());
    let mut access = Access::begin(id, &head);
    let mut surface = Surface::Api;
    let is_head_only = head.method == http::Method::HEAD;
    let answered = serve(&call, id, &mut head, inbound, &mut surface, &mut access).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => refusal.answer(id, surface, shared.config.limits.dialect),
    };
    if call.violation.is_some() {
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(http::header::CONNECTION, close);
    }
    if is_head_only {
        response = answer::without_body(response);
    }
    // A body that is still being made belongs to the call.
    if !response.body().is_in_memory() {
        response = response.map(|body| body.guarded(move |_| drop(call)));
    }
    access.answered(response)
}

/// Strict, route, resolve, strip, authorise, invoke.
async fn serve(
    call: &Call,
    id: RequestId,
    head: &mut Parts,
    inbound: Inbound,
    surface: &mut Surface,
    access: &mut Access,
) -> Result<Response<Body>, Refusal> {
    let shared = &*call.link().shared;
    let limits = &shared.config.limits;
    if let Some(violation) = call.violation {
        return Err(violation.error().into());
    }
    let survey = Survey::of(&head.headers);
    let host = authority::of(head, &survey)?;
    let label = authority::label(host, &shared.config.suffixes);
    if label.is_some() {
        *surface = Surface::Trigger;
    }
    survey.check(&head.uri, limits)?;
    let control = Control::read(&head.headers, &survey)?;
    let (version, qualifier) = match route::of(head, label)? {
        Route::Health => return health(shared, id),
        Route::Function { name, qualifier } => (resolve(shared, name, &qualifier)?, qualifier),
        Route::Trigger { name } => {
            let version = resolve(shared, name, &Qualifier::default())?;
            admit(shared, head, &version)?;
            (version, Qualifier::default())
        }
    };
    access.function(&version);
    inbound.check_declared(limits.request_body_bytes_max)?;
    let has_platform = survey.has_platform;
    survey::strip(head, survey.strips())?;

    let cx = Context::new(id);
    if let Some(authorize) = &shared.ports.authorize {
        let action = match surface {
            Surface::Api => Action::InvokeFunction(&version),
            Surface::Trigger => Action::CallTrigger(&version),
        };
        authorize.authorize(cx, head, action).await?;
    }
    if has_platform {
        control::strip(&mut head.headers);
    }

    let (body, fault) = inbound.primed().await?;
    let asked = Asked { id, surface: *surface, log: control.log };
    let invocation = Invocation {
        target: Target::Resolved { version, qualifier },
        kind: surface.kind(),
        client_ip: client_ip(call, head),
        log: control.log,
        request: request(head, *surface, body),
    };
    let invoked = fault.guard(shared.ports.invoke.invoke(cx, invocation)).await?;
    match invoked {
        Ok(reply) => answer::of(asked, reply, &shared.config),
        Err(error) => Err(error.into()),
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
