//! Splits bytes into lines, and lines into the data of server-sent events, wherever the input is
//! cut. Memory is bounded by the limits on a line, an event and the total.

/// A line, an event or the whole input is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is longer than allowed")]
pub struct TooBig;

/// Splits bytes into lines. LF, CR LF and CR end a line, as in the format of server-sent events.
#[derive(Debug)]
pub struct Lines {
    line: Vec<u8>,
    after_cr: bool,
    line_max: usize,
    left: usize,
}

impl Lines {
    /// Accepts lines of at most `line_max` bytes, and `total_max` bytes in total.
    pub const fn new(line_max: usize, total_max: usize) -> Self {
        Self { line: Vec::new(), after_cr: false, line_max, left: total_max }
    }

    /// Passes each line that `bytes` completes to `each`, without its line end.
    ///
    /// # Errors
    /// [`TooBig`] beyond a bound, or the error of `each`. Nothing more may be pushed then.
    pub fn push<E: From<TooBig>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(TooBig)?;
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (end, text) = match part.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (Some(*end), text),
                _ => (None, part),
            };
            let second_of_two =
                std::mem::take(&mut self.after_cr) && text.is_empty() && end == Some(b'\n');
            if second_of_two {
                continue;
            }
            if self.line.len().saturating_add(text.len()) > self.line_max {
                return Err(TooBig.into());
            }
            self.line.extend_from_slice(text);
            if let Some(end) = end {
                self.after_cr = end == b'\r';
                let done = each(&self.line);
                self.line.clear();
                done?;
            }
        }
        Ok(())
    }
}

/// Extracts the data of server-sent events. Event names, ids and comments are ignored: in the
/// streams read here, the data itself names its type.
#[derive(Debug)]
pub struct EventLines {
    lines: Lines,
    data: Vec<u8>,
    has_data: bool,
    at_start: bool,
    data_max: usize,
}

impl EventLines {
    /// Accepts lines and events of at most `line_max` bytes, and `total_max` bytes in total.
    pub const fn new(line_max: usize, total_max: usize) -> Self {
        let lines = Lines::new(line_max, total_max);
        Self { lines, data: Vec::new(), has_data: false, at_start: true, data_max: line_max }
    }

    /// Passes the data of each event that `bytes` completes to `each`.
    ///
    /// # Errors
    /// [`TooBig`] beyond a bound, or the error of `each`. Nothing more may be pushed then.
    pub fn push<E: From<TooBig>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { lines, data, has_data, at_start, data_max } = self;
        lines.push(bytes, |line| {
            let line = if std::mem::take(at_start) {
                line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
            } else {
                line
            };
            if line.is_empty() {
                let done = if std::mem::take(has_data) { each(data) } else { Ok(()) };
                data.clear();
                return done;
            }
            let value = match line.strip_prefix(b"data") {
                Some([]) => &[][..],
                Some([b':', value @ ..]) => value.strip_prefix(b" ").unwrap_or(value),
                Some(_) | None => return Ok(()),
            };
            if data.len().saturating_add(value.len()) >= *data_max {
                return Err(TooBig.into());
            }
            if std::mem::replace(has_data, true) {
                data.push(b'\n');
            }
            data.extend_from_slice(value);
            Ok(())
        })
    }
}
