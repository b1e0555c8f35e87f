//! What is sent: the same request each time, or one made for the occasion.

/// One request on its way: the bytes, and how many bytes of zeros follow them as the rest of the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The head, and a body if it is small.
    pub(crate) bytes: Vec<u8>,
    /// The length of a large body.
    pub(crate) zeros: u64,
}

impl Request {
    /// A request without a body.
    pub(crate) fn get(host: &str, path: &str, fields: &[(&str, &str)]) -> Self {
        Self::with_body("GET", host, path, fields, &[])
    }

    /// An upload of so many bytes.
    pub(crate) fn upload(host: &str, path: &str, fields: &[(&str, &str)], length: u64) -> Self {
        let length_field = length.to_string();
        let mut fields = fields.to_vec();
        fields.push(("content-length", &length_field));
        Self {
            zeros: length,
            ..Self::with_body("POST", host, path, &fields, &[])
        }
    }

    /// A form.
    pub(crate) fn form(host: &str, path: &str, fields: &[(&str, &str)], form: &str) -> Self {
        let length = form.len().to_string();
        let mut fields = fields.to_vec();
        fields.push(("content-type", "application/x-www-form-urlencoded"));
        fields.push(("content-length", &length));
        Self::with_body("POST", host, path, &fields, form.as_bytes())
    }

    fn with_body(method: &str, host: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self { bytes, zeros: 0 }
    }
}

/// Where requests come from, and where answers go.
pub(crate) trait Requests {
    /// Writes the next request into `request`; `false` when there is none left.
    fn next(&mut self, request: &mut Request) -> bool;

    /// Is told the body of each answer, up to 64 KiB of it.
    fn answered(&mut self, _body: &[u8]) {}
}

/// The same request, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Same(pub(crate) Request);

impl Requests for Same {
    fn next(&mut self, request: &mut Request) -> bool {
        request.bytes.clone_from(&self.0.bytes);
        request.zeros = self.0.zeros;
        true
    }
}

/// Those of an iterator, each once.
#[derive(Clone, Debug)]
pub(crate) struct Each<I>(pub(crate) I);

impl<I: Iterator<Item = Request>> Requests for Each<I> {
    fn next(&mut self, request: &mut Request) -> bool {
        let Some(next) = self.0.next() else {
            return false;
        };
        *request = next;
        true
    }
}

/// All of them again and again, neighbours far apart, so that nothing is warm by chance.
#[derive(Clone, Debug)]
pub(crate) struct InTurn {
    requests: Vec<Request>,
    next: usize,
}

impl InTurn {
    /// Of these requests.
    pub(crate) const fn of(requests: Vec<Request>) -> Self {
        Self { requests, next: 0 }
    }
}

impl Requests for InTurn {
    fn next(&mut self, request: &mut Request) -> bool {
        /// A prime that divides no number of requests anybody asks for: every one has its turn.
        const APART: usize = 7919;
        let Some(next) = self.requests.get(self.next) else {
            return false;
        };
        request.bytes.clone_from(&next.bytes);
        self.next = (self.next + APART) % self.requests.len();
        true
    }
}

/// Where a form goes, and with which further fields: for requests that differ in their form alone.
#[derive(Clone, Debug)]
pub(crate) struct FormPost {
    /// The `host` field.
    pub(crate) host: String,
    /// The path.
    pub(crate) path: String,
    /// Further fields.
    pub(crate) fields: Vec<(&'static str, &'static str)>,
}

impl FormPost {
    /// The request with this form.
    pub(crate) fn with(&self, form: &str) -> Request {
        Request::form(&self.host, &self.path, &self.fields, form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_form_with_its_length() {
        let request = Request::form("h", "/p", &[("accept", "application/jwt")], "a=b");
        assert_eq!(
            String::from_utf8(request.bytes).unwrap(),
            "POST /p HTTP/1.1\r\nhost: h\r\naccept: application/jwt\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: 3\r\n\r\na=b"
        );
    }

    #[test]
    fn every_request_has_its_turn_again_and_again() {
        let paths = ["/a", "/b", "/c"].map(|path| Request::get("h", path, &[]));
        let mut in_turn = InTurn::of(paths.to_vec());
        let mut request = Request::default();
        let mut asked = |count| -> Vec<Vec<u8>> {
            let mut asked = Vec::new();
            for _ in 0..count {
                assert!(in_turn.next(&mut request));
                asked.push(request.bytes.clone());
            }
            asked
        };
        let once = asked(3);
        assert!(paths.iter().all(|path| once.contains(&path.bytes)));
        assert_eq!(asked(3), once);
        assert!(!InTurn::of(Vec::new()).next(&mut request));
    }

    #[test]
    fn announces_an_upload_and_leaves_it_to_be_streamed() {
        let request = Request::upload("h", "/p", &[], 1 << 20);
        assert!(request.bytes.ends_with(b"content-length: 1048576\r\n\r\n"));
        assert_eq!(request.zeros, 1 << 20);
    }
}
