//! Resizes binary PPM (P6) and 24-bit BMP images over HTTP/1.1, with the standard library alone.
//!
//! `POST /?width=&height=` answers the body's image in that size and in its own format. A missing
//! side follows the other one; without both the image is halved, which is what an event gets.
//! `GET /` answers a gradient, `GET /hello` a greeting.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const MAX_CONNECTIONS: usize = 256;
const MAX_HEAD_BYTES: u64 = 64 << 10;
const MAX_IMAGE_BYTES: usize = 8 << 20;
const MAX_SIDE_PX: usize = 4096;
const IDLE_TIMEOUT: Duration = Duration::from_secs(20 * 60);
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\
    x-fc-status: 200\r\n\r\nhello world\n";

fn main() -> io::Result<()> {
    let port = std::env::var("FC_CUSTOM_LISTEN_PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("0.0.0.0", port.unwrap_or(9000)))?;
    let places = Arc::new(());
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else {
            thread::sleep(Duration::from_millis(10)); // out of file descriptors
            continue;
        };
        let place = Arc::clone(&places);
        if Arc::strong_count(&places) > MAX_CONNECTIONS + 1 {
            let _ = stream.write_all(&Reply::refused(503, "too many connections").bytes(false));
            continue;
        }
        // A thread that cannot start drops its connection, and only that one.
        let _ = thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let _ = serve(stream);
            drop(place);
        });
    }
    Ok(())
}

// HTTP

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let mut reader = BufReader::with_capacity(16 << 10, stream.try_clone()?);
    loop {
        let received = match Head::read(&mut reader) {
            Ok(None) => return Ok(()),
            Ok(Some(head)) => head
                .read_body(&mut reader, &mut stream)
                .map(|body| (head, body)),
            Err(failure) => Err(failure),
        };
        match received {
            Ok((head, body)) => {
                answer(&head, body, &mut stream)?;
                if !head.keep_alive {
                    return Ok(());
                }
            }
            Err(Failure::Connection(error)) => return Err(error),
            Err(Failure::Refused(status, why)) => {
                stream.write_all(&Reply::refused(status, why).bytes(false))?;
                return linger(&stream, reader);
            }
        }
    }
}

/// Closing with bytes unread would reset the connection, and the reply could be lost.
fn linger(stream: &TcpStream, reader: BufReader<TcpStream>) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER_TIMEOUT))?;
    io::copy(&mut reader.take(MAX_IMAGE_BYTES as u64), &mut io::sink()).map(drop)
}

fn answer(head: &Head, body: Vec<u8>, stream: &mut TcpStream) -> io::Result<()> {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let reply = match (head.method.as_str(), path) {
        ("GET", "/hello") if head.keep_alive => return stream.write_all(HELLO),
        ("GET" | "HEAD", "/hello") => Ok(Reply::ok("text/plain", b"hello world\n".to_vec())),
        ("GET" | "HEAD", "/") => gradient(query),
        ("POST", _) => resized(&body, query),
        ("GET" | "HEAD", _) => Err((404, "there is / and /hello")),
        _ => Err((405, "use GET or POST")),
    };
    let mut reply = reply.unwrap_or_else(|(status, why)| Reply::refused(status, why));
    reply.head_only = head.method == "HEAD";
    stream.write_all(&reply.bytes(head.keep_alive))
}

enum Failure {
    Connection(io::Error),
    Refused(u16, &'static str),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Connection(error)
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

struct Head {
    method: String,
    target: String,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
}

impl Head {
    /// The next request's head, or `None` when the peer has no further one.
    fn read(reader: &mut impl BufRead) -> Result<Option<Head>, Failure> {
        let mut lines = reader.take(MAX_HEAD_BYTES);
        let mut line = String::new();
        if !read_line(&mut lines, &mut line)? {
            return Ok(None);
        }
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Failure::Refused(400, "not an HTTP request"));
        };
        if !version.starts_with("HTTP/1.") {
            return Err(Failure::Refused(505, "HTTP/1.1 is served here"));
        }
        let mut head = Head {
            method: method.to_owned(),
            target: target.to_owned(),
            framing: Framing::Length(0),
            keep_alive: version == "HTTP/1.1",
            expects_continue: false,
        };
        loop {
            if !read_line(&mut lines, &mut line)? {
                return Err(Failure::Refused(431, "the head is cut short or over 64 KB"));
            }
            if line.is_empty() {
                return Ok(Some(head));
            }
            let (name, value) = line
                .split_once(':')
                .ok_or(Failure::Refused(400, "a header without a colon"))?;
            head.note(name, value.trim())?;
        }
    }

    fn note(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        if name.eq_ignore_ascii_case("content-length") {
            if matches!(self.framing, Framing::Length(_)) {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let length = value.parse().ok().filter(|_| digits);
                let length = length.ok_or(Failure::Refused(400, "a bad content-length"))?;
                self.framing = Framing::Length(length);
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(Failure::Refused(501, "only chunked transfers are known"));
            }
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            self.keep_alive &= !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("expect") {
            self.expects_continue = value.eq_ignore_ascii_case("100-continue");
        }
        Ok(())
    }

    fn read_body(
        &self,
        reader: &mut impl BufRead,
        stream: &mut TcpStream,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        let go_on = self.expects_continue && !matches!(self.framing, Framing::Length(0));
        match self.framing {
            Framing::Length(length) => {
                if length > MAX_IMAGE_BYTES {
                    return Err(TOO_LARGE);
                }
                if go_on {
                    stream.write_all(CONTINUE)?;
                }
                append(reader, length, &mut body)?;
            }
            Framing::Chunked => {
                if go_on {
                    stream.write_all(CONTINUE)?;
                }
                read_chunks(reader, &mut body)?;
            }
        }
        Ok(body)
    }
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const TOO_LARGE: Failure = Failure::Refused(413, "a body is at most 8 MB");

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<(), Failure> {
    let mut line = String::new();
    loop {
        read_line(&mut reader.take(MAX_HEAD_BYTES), &mut line)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)
            .map_err(|_| Failure::Refused(400, "a bad chunk size"))?;
        if size == 0 {
            break;
        }
        if size > MAX_IMAGE_BYTES - body.len() {
            return Err(TOO_LARGE);
        }
        append(reader, size, body)?;
        read_line(&mut reader.take(2), &mut line)?;
        if !line.is_empty() {
            return Err(Failure::Refused(400, "a chunk longer than its size"));
        }
    }
    let mut trailers = reader.take(MAX_HEAD_BYTES);
    while read_line(&mut trailers, &mut line)? && !line.is_empty() {}
    Ok(())
}

fn append(reader: &mut impl Read, size: usize, body: &mut Vec<u8>) -> io::Result<()> {
    if reader.take(size as u64).read_to_end(body)? < size {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Replaces `line` by the next one, without its end; false at the end of the input.
fn read_line(reader: &mut impl BufRead, line: &mut String) -> Result<bool, Failure> {
    let mut bytes = std::mem::take(line).into_bytes();
    bytes.clear();
    reader.read_until(b'\n', &mut bytes)?;
    let whole = bytes.pop_if(|byte| *byte == b'\n').is_some();
    bytes.pop_if(|byte| *byte == b'\r');
    *line =
        String::from_utf8(bytes).map_err(|_| Failure::Refused(400, "a head in UTF-8, please"))?;
    Ok(whole)
}

struct Reply {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    head_only: bool,
}

impl Reply {
    fn ok(content_type: &'static str, body: Vec<u8>) -> Reply {
        Reply {
            status: 200,
            content_type,
            body,
            head_only: false,
        }
    }

    fn refused(status: u16, why: &str) -> Reply {
        let body = format!("{why}\n").into_bytes();
        Reply {
            status,
            content_type: "text/plain",
            body,
            head_only: false,
        }
    }

    /// Head and body together, so that they leave in one write.
    fn bytes(&self, keep_alive: bool) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nx-fc-status: {}\r\n{}\r\n",
            self.status,
            if self.status == 200 { "OK" } else { "Refused" },
            self.content_type,
            self.body.len(),
            if self.status == 200 { 200 } else { 404 },
            if keep_alive {
                ""
            } else {
                "connection: close\r\n"
            },
        )
        .into_bytes();
        if !self.head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

// Images

type Answer = Result<Reply, (u16, &'static str)>;

fn resized(body: &[u8], query: &str) -> Answer {
    let image =
        Image::parse(body).ok_or((400, "a P6 PPM or a 24-bit BMP of up to 4096 px, please"))?;
    let (width, height) = match (side(query, "width")?, side(query, "height")?) {
        (Some(width), Some(height)) => (width, height),
        (Some(width), None) => (width, (image.height * width / image.width).max(1)),
        (None, Some(height)) => ((image.width * height / image.height).max(1), height),
        (None, None) => ((image.width / 2).max(1), (image.height / 2).max(1)),
    };
    check_size(width, height)?;
    Ok(image.resize(width, height).into_reply())
}

fn gradient(query: &str) -> Answer {
    let width = side(query, "width")?.unwrap_or(256);
    let height = side(query, "height")?.unwrap_or(256);
    check_size(width, height)?;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            pixels.extend([(x * 255 / width) as u8, (y * 255 / height) as u8, 128]);
        }
    }
    Ok(Image {
        format: Format::Ppm { max_value: 255 },
        width,
        height,
        pixels,
    }
    .into_reply())
}

fn check_size(width: usize, height: usize) -> Result<(), (u16, &'static str)> {
    if width > MAX_SIDE_PX || height > MAX_SIDE_PX || width * height * 3 > MAX_IMAGE_BYTES {
        return Err((400, "an image is at most 4096 px a side, and 8 MB"));
    }
    Ok(())
}

fn side(query: &str, name: &str) -> Result<Option<usize>, (u16, &'static str)> {
    let value = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|pair| pair.0 == name);
    let Some((_, value)) = value else {
        return Ok(None);
    };
    match value.parse() {
        Ok(side @ 1..=MAX_SIDE_PX) => Ok(Some(side)),
        _ => Err((400, "width and height are 1 to 4096")),
    }
}

#[derive(Clone, Copy)]
enum Format {
    Ppm { max_value: u8 },
    Bmp,
}

/// Three bytes a pixel, rows from the top, without padding; their order is the format's own.
struct Image {
    format: Format,
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    fn parse(bytes: &[u8]) -> Option<Image> {
        match bytes.get(..2)? {
            b"P6" => Image::parse_ppm(&bytes[2..]),
            b"BM" => Image::parse_bmp(bytes),
            _ => None,
        }
    }

    fn parse_ppm(mut rest: &[u8]) -> Option<Image> {
        let width = ppm_number(&mut rest, MAX_SIDE_PX)?;
        let height = ppm_number(&mut rest, MAX_SIDE_PX)?;
        let max_value = ppm_number(&mut rest, 255)? as u8;
        let (space, pixels) = rest.split_first()?;
        let pixels = pixels.get(..width * height * 3)?.to_vec();
        let format = Format::Ppm { max_value };
        space.is_ascii_whitespace().then_some(Image {
            format,
            width,
            height,
            pixels,
        })
    }

    fn parse_bmp(bytes: &[u8]) -> Option<Image> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (offset, header_bytes) = (number(10)? as usize, number(14)?);
        let (width, signed_height) = (number(18)? as usize, number(22)? as i32);
        let height = signed_height.unsigned_abs() as usize;
        let (bits_and_planes, compression) = (number(26)?, number(30)?);
        let sides = 1..=MAX_SIDE_PX;
        if header_bytes < 40 || bits_and_planes != 24 << 16 | 1 || compression != 0 {
            return None;
        }
        if !sides.contains(&width) || !sides.contains(&height) {
            return None;
        }
        let stride = bmp_stride(width);
        let stored = bytes.get(offset..)?.get(..stride * height)?;
        let rows = stored.chunks_exact(stride).map(|row| &row[..width * 3]);
        let rows: Vec<&[u8]> = if signed_height > 0 {
            rows.rev().collect()
        } else {
            rows.collect()
        };
        Some(Image {
            format: Format::Bmp,
            width,
            height,
            pixels: rows.concat(),
        })
    }

    /// Bilinear, between the centres of pixels, with weights in 256ths.
    fn resize(&self, width: usize, height: usize) -> Image {
        let columns: Vec<Sample> = (0..width)
            .map(|x| Sample::new(x, width, self.width))
            .collect();
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let row = Sample::new(y, height, self.height);
            let (above, below) = (self.row(row.low), self.row(row.high));
            for column in &columns {
                for channel in 0..3 {
                    let (left, right) = (column.low * 3 + channel, column.high * 3 + channel);
                    let top = column.mix(above[left].into(), above[right].into());
                    let bottom = column.mix(below[left].into(), below[right].into());
                    pixels.push(((row.mix(top, bottom) + (1 << 15)) >> 16) as u8);
                }
            }
        }
        Image {
            format: self.format,
            width,
            height,
            pixels,
        }
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width * 3..][..self.width * 3]
    }

    fn into_reply(self) -> Reply {
        match self.format {
            Format::Ppm { max_value } => {
                let mut body =
                    format!("P6\n{} {}\n{max_value}\n", self.width, self.height).into_bytes();
                body.extend_from_slice(&self.pixels);
                Reply::ok("image/x-portable-pixmap", body)
            }
            Format::Bmp => Reply::ok("image/bmp", self.bmp()),
        }
    }

    fn bmp(&self) -> Vec<u8> {
        let stride = bmp_stride(self.width);
        let data_bytes = (stride * self.height) as u32;
        let (width, height) = (self.width as u32, self.height as u32);
        let mut bytes = Vec::with_capacity(54 + stride * self.height);
        bytes.extend_from_slice(b"BM");
        let header = [
            54 + data_bytes,
            0,
            54,
            40,
            width,
            height,
            24 << 16 | 1,
            0,
            data_bytes,
            2835,
            2835,
            0,
            0,
        ];
        bytes.extend(header.into_iter().flat_map(u32::to_le_bytes));
        for y in (0..self.height).rev() {
            bytes.extend_from_slice(self.row(y));
            bytes.resize(bytes.len() + stride - self.width * 3, 0);
        }
        bytes
    }
}

/// The two source pixels between which a target pixel lies, and how near it is to the second.
struct Sample {
    low: usize,
    high: usize,
    weight: u32,
}

impl Sample {
    fn new(at: usize, target: usize, source: usize) -> Sample {
        let position = ((2 * at + 1) * source * 128 / target).saturating_sub(128);
        let low = (position / 256).min(source - 1);
        Sample {
            low,
            high: (low + 1).min(source - 1),
            weight: (position % 256) as u32,
        }
    }

    fn mix(&self, low: u32, high: u32) -> u32 {
        low * (256 - self.weight) + high * self.weight
    }
}

fn bmp_stride(width: usize) -> usize {
    (width * 3).next_multiple_of(4)
}

/// The number after spaces and `#` comments, from 1 to `most`.
fn ppm_number(rest: &mut &[u8], most: usize) -> Option<usize> {
    loop {
        *rest = rest.trim_ascii_start();
        if rest.first()? != &b'#' {
            break;
        }
        *rest = &rest[rest.iter().position(|byte| *byte == b'\n')?..];
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    (1..=most).contains(&number).then_some(number)
}
