-- The opaque token becomes the JWT that our authorization server answers, if it is bound to this connection's certificate.

local decode_base64url = require("ngx.base64").decode_base64url
local encode_base64url = require("ngx.base64").encode_base64url
local cjson = require("cjson.safe")
local ffi = require("ffi")

ffi.cdef([[unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);]])

local function refuse(status, challenge)
    ngx.header["WWW-Authenticate"] = challenge
    return ngx.exit(status)
end

local function sha256(bytes)
    local digest = ffi.new("unsigned char[32]")
    ffi.C.SHA256(bytes, #bytes, digest)
    return ffi.string(digest, 32)
end

-- The access token as a JWT; nil where the authorization server knows of none.
local function introspect(token)
    local body = "client_id=gateway&token=" .. ngx.escape_uri(token)
    local answer = ngx.location.capture("/introspect", { method = ngx.HTTP_POST, body = body })
    if answer.status == ngx.HTTP_NO_CONTENT then
        return nil
    end
    if answer.status ~= ngx.HTTP_OK or answer.header["Content-Type"] ~= "application/jwt" then
        ngx.log(ngx.ERR, "introspection answered ", answer.status)
        return ngx.exit(ngx.HTTP_BAD_GATEWAY)
    end
    return answer.body
end

local token = (ngx.var.http_authorization or ""):match("^[Bb]earer ([%w%-._~+/]+=*)$")
if not token then
    return refuse(ngx.HTTP_UNAUTHORIZED, 'Bearer realm="nginx"')
end

local jwt = introspect(token)
local claims = jwt and cjson.decode(decode_base64url(jwt:match("^[^.]+%.([^.]+)%.[^.]+$") or "") or "")
local certificate = ngx.var.ssl_client_raw_cert:gsub("%-%-%-%-%-[%u ]+%-%-%-%-%-", ""):gsub("%s", "")
local thumbprint = encode_base64url(sha256(ngx.decode_base64(certificate)))
if not claims or not claims.cnf or claims.cnf["x5t#S256"] ~= thumbprint then
    return refuse(ngx.HTTP_UNAUTHORIZED, 'Bearer realm="nginx", error="invalid_token"')
end

ngx.req.set_header("Authorization", "Bearer " .. jwt)
ngx.req.set_header("Client-Cert", ":" .. certificate .. ":")
