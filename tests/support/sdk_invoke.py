"""The official SDK, unchanged, against the address in argv[1]: invokes `echo` and `crash`."""

import base64
import json
import sys

from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

ADDRESS = sys.argv[1]

client = Client(Config(
    access_key_id="test",
    access_key_secret="test",
    endpoint=ADDRESS,
    protocol="http",
    region_id="cn-hangzhou",
))


def invoke(function, body, **headers):
    return client.invoke_function_with_options(
        function,
        models.InvokeFunctionRequest(body=body),
        models.InvokeFunctionHeaders(**headers),
        RuntimeOptions(autoretry=False),
    )


event = json.dumps({"héllo": [1, 2, 3]}).encode()
answer = invoke("echo", event, x_fc_invocation_type="Sync", x_fc_log_type="Tail")
seen = json.loads(answer.body.read())
assert answer.status_code == 200, answer.status_code
assert json.loads(seen["body"]) == json.loads(event), seen
assert (seen["method"], seen["path"]) == ("POST", "/invoke"), seen
assert seen["environment"]["FC_FUNCTION_NAME"] == "echo", seen
headers = {name.lower(): value for name, value in answer.headers.items()}
assert headers["x-fc-request-id"].startswith("1-"), headers
base64.b64decode(headers.get("x-fc-log-result", ""), validate=True)

# A body that is no text, of a size that takes several segments.
large = bytes(range(256)) * 4096
answer = invoke("echo", large)
seen = json.loads(answer.body.read())
assert seen["is_base64"] and base64.b64decode(seen["body"]) == large

# The simple form, without headers or options.
answer = client.invoke_function("echo", models.InvokeFunctionRequest(body=b"plain"))
assert json.loads(answer.body.read())["body"] == "plain"

answer = client.invoke_function(
    "echo", models.InvokeFunctionRequest(body=b"", qualifier="LATEST"))
assert answer.status_code == 200

# A function's failure is an answer, not an error of the API.
answer = invoke("crash", b'{"how": "exit", "code": 3}')
headers = {name.lower(): value for name, value in answer.headers.items()}
assert answer.status_code == 200, answer.status_code
assert headers["x-fc-error-type"] == "UnhandledInvocationError", headers
assert "errorMessage" in json.loads(answer.body.read())


def refused(function, status, code, **request):
    try:
        client.invoke_function(function, models.InvokeFunctionRequest(body=b"", **request))
    except Exception as error:
        assert getattr(error, "code", None) == code, repr(error)
        assert getattr(error, "status_code", status) == status, repr(error)
        assert getattr(error, "request_id", "1-").startswith("1-"), repr(error)
    else:
        raise AssertionError(f"{function} was not refused")


refused("nobody", 404, "FunctionNotFound")
refused("echo", 404, "VersionNotFound", qualifier="7")
refused("echo", 404, "AliasNotFound", qualifier="prod")

print("ok")
