//! TLS by rustls.

use fc_core::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What makes TLS connections that trust the system's roots and those in `roots_pem`.
pub(super) fn connector(roots_pem: &[u8]) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem) {
        let certificate = certificate.map_err(|e| Error::invalid("root certificates", e))?;
        roots.add(certificate).map_err(|e| Error::invalid("root certificates", e))?;
    }
    let system = rustls_native_certs::load_native_certs();
    let (_, unusable) = roots.add_parsable_certificates(system.certs);
    if unusable > 0 || !system.errors.is_empty() {
        let errors = system.errors.len();
        tracing::warn!(unusable, errors, "some of the system's root certificates cannot be used");
    }
    if roots.is_empty() {
        let what = "none is given and the system has none: nobody could be trusted";
        return Err(Error::invalid("root certificates", what));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::internal("TLS cannot be set up").with_source(e))?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
