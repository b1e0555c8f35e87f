-- The gateway's checks in as few lines of Lua as they take, for the job's peer: bearer token, cache by digest,
-- introspection as a JWT (its signature is NOT verified here), expiry, binding to this connection's certificate, scope.
local ffi = require "ffi"
local lrucache = require "resty.lrucache"

ffi.cdef [[ unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md); ]]

local CAPACITY, MAX_AGE = 10000, 60
local tokens = lrucache.new(CAPACITY)
local thumbprints, thumbprint_count = {}, 0
local digest_buffer = ffi.new("unsigned char[32]")

local function sha256(text)
    ffi.C.SHA256(text, #text, digest_buffer)
    return ffi.string(digest_buffer, 32)
end

local function base64url(bytes)
    return (ngx.encode_base64(bytes, true):gsub("+", "-"):gsub("/", "_"))
end

-- Once per connection: decoding a certificate is what such a script spends most on.
local function connection_thumbprint()
    local connection = ngx.var.connection
    local known = thumbprints[connection]
    if known then
        return known
    end
    local pem = ngx.var.ssl_client_raw_cert
    if not pem then
        return nil
    end
    local base64 = pem:gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s", "")
    local thumbprint = base64url(sha256(ngx.decode_base64(base64)))
    if thumbprint_count >= 4096 then
        thumbprints, thumbprint_count = {}, 0
    end
    thumbprints[connection], thumbprint_count = thumbprint, thumbprint_count + 1
    return thumbprint
end

local function introspect(token)
    local answer = ngx.location.capture("/introspect", {
        method = ngx.HTTP_POST,
        body = "client_id=gateway&token=" .. token,
    })
    if answer.status ~= 200 then
        return nil
    end
    local payload = answer.body:match("^[^.]+%.([^.]+)%.")
    payload = payload and ngx.decode_base64((payload:gsub("-", "+"):gsub("_", "/")))
    if not payload then
        return nil
    end
    return {
        authorization = "Bearer " .. answer.body,
        expires_at = tonumber(payload:match('"exp":(%d+)')),
        thumbprint = payload:match('"x5t#S256":"([^"]+)"'),
        has_scope = (payload:match('"scope":"([^"]*)"') or ""):find("transactions", 1, true) ~= nil,
    }
end

local function authorize()
    local authorization = ngx.var.http_authorization
    if not authorization or authorization:sub(1, 7) ~= "Bearer " or authorization:find("[^%w%-._~+/=]", 8) then
        return ngx.exit(401)
    end
    local token = authorization:sub(8)
    local digest = sha256(token)
    local known = tokens:get(digest)
    if not known then
        known = introspect(token)
        if not known then
            return ngx.exit(401)
        end
        tokens:set(digest, known, MAX_AGE)
    end
    if not known.expires_at or known.expires_at <= ngx.time() then
        return ngx.exit(401)
    end
    if not known.thumbprint or known.thumbprint ~= connection_thumbprint() then
        return ngx.exit(401)
    end
    if not known.has_scope then
        return ngx.exit(403)
    end
    ngx.req.set_header("Authorization", known.authorization)
end

return { authorize = authorize }
