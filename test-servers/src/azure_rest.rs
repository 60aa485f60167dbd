//! The one request of Azure's REST interface that is needed: creating a container.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The account every Azurite has, and its key, both printed in its documentation.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const VERSION: &str = "2021-08-06";
const LIMIT: Duration = Duration::from_secs(10);

/// Creates a container, unless there is one of that name.
pub(crate) fn create_container(server: SocketAddr, container: &str) -> io::Result<()> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let path = format!("/{ACCOUNT}/{container}");
    // "Authorize with Shared Key": the method, eleven headers that are absent here, the x-ms- headers, and the
    // resource, in which the emulator has the account twice, once as the host and once in the path.
    let absent = "\n".repeat(11);
    let signed =
        format!("PUT\n{absent}x-ms-date:{date}\nx-ms-version:{VERSION}\n/{ACCOUNT}{path}\nrestype:container");
    let request = format!(
        "PUT {path}?restype=container HTTP/1.1\r\nHost: {server}\r\nx-ms-date: {date}\r\nx-ms-version: {VERSION}\r\n\
         Authorization: SharedKey {ACCOUNT}:{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        signature(&signed)?
    );

    let mut stream = TcpStream::connect_timeout(&server, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split(' ').nth(1) {
        // Created; or it exists.
        Some("201" | "409") => Ok(()),
        _ => Err(io::Error::other(format!("Azurite does not create the container {container}: {answer}"))),
    }
}

fn signature(text: &str) -> io::Result<String> {
    let key = base64_simd::STANDARD.decode_to_vec(ACCOUNT_KEY).map_err(io::Error::other)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(io::Error::other)?;
    mac.update(text.as_bytes());
    Ok(base64_simd::STANDARD.encode_to_string(mac.finalize().into_bytes()))
}
