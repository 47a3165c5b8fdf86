//! Numbers and texts as bytes, little-endian.

/// Why bytes could not be read: shown with the file and the offset.
pub(in super::super) type Malformed = &'static str;

/// Appends numbers and texts.
pub(in super::super) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    /// A length of 16 bits, and the bytes.
    fn put_short(&mut self, bytes: &[u8]);
    /// A length of 32 bits, and the bytes.
    fn put_long(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_short(&mut self, bytes: &[u8]) {
        // Names, notes and reasons were checked: none is longer than 4096 bytes.
        self.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.extend_from_slice(&bytes[..bytes.len().min(usize::from(u16::MAX))]);
    }

    fn put_long(&mut self, bytes: &[u8]) {
        // Payloads were checked: none is longer than 64 MB.
        self.put_u32(bytes.len() as u32);
        self.extend_from_slice(bytes);
    }
}

/// Reads what [`Put`] has written.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

const SHORT: Malformed = "a record ends too early";

impl<'b> Cursor<'b> {
    pub(in super::super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read.
    pub(in super::super) fn at(&self) -> usize {
        self.at
    }

    pub(in super::super) fn take(&mut self, len: usize) -> Result<&'b [u8], Malformed> {
        let end = self.at.checked_add(len).ok_or(SHORT)?;
        let taken = self.bytes.get(self.at..end).ok_or(SHORT)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| SHORT)
    }

    pub(in super::super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(in super::super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(in super::super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(in super::super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(in super::super) fn short(&mut self) -> Result<&'b [u8], Malformed> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    pub(in super::super) fn long(&mut self) -> Result<&'b [u8], Malformed> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub(in super::super) fn text(&mut self) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.short()?).map_err(|_| "a name is no text")
    }
}
