"""Documentation of the API: the OpenAPI document for programs, and a page for people.

The usual pages of that kind load their scripts from elsewhere; these work without internet access.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from ecr_audit.web.api.routes import PREFIX, router
from ecr_audit.web.page import PageDep, urls_of

VERSION = "1"

documents = APIRouter(prefix=PREFIX, include_in_schema=False)


@documents.get("/openapi.json")
def openapi_document(request: Request) -> JSONResponse:
    """The OpenAPI document; its server is the address of the request."""
    return JSONResponse(_document() | {"servers": [{"url": urls_of(request).root or "/"}]})


@documents.get("/docs", response_class=HTMLResponse)
def page_for_people(page: PageDep) -> HTMLResponse:
    """All operations, with the meaning of each parameter and field."""
    document = _document()
    return page.render(
        "api.html", operations=_operations(document), address=page.request.url.path.removesuffix("/docs")
    )


@documents.get("/{path:path}")
def nothing_here(request: Request, path: str) -> None:
    """Any other path."""
    raise HTTPException(
        404, f"There is no operation {path[:200]!r}. {urls_of(request).api('/openapi.json')} lists them."
    )


def _document() -> dict[str, Any]:
    return get_openapi(
        title="ECR audit",
        version=VERSION,
        description="ECR repositories whose image tags can be overwritten, since when, and who owns them.",
        routes=router.routes,
    )


def _operations(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By tag: path, summary, parameters, and the fields of a returned item."""
    operations: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        operation = methods["get"]
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        operations.setdefault(operation["tags"][0], []).append(
            {
                "path": path.removeprefix(PREFIX),
                "summary": operation["description"],
                "parameters": [
                    {
                        "name": each["name"],
                        "description": each.get("description", ""),
                        "valid": _valid(each["schema"]),
                    }
                    for each in operation.get("parameters", ())
                ],
                "fields": _fields(document["components"]["schemas"], answer),
            }
        )
    return operations


def _fields(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, str]:
    """Name and meaning of the fields of a response; for a list, those of an item."""
    properties = schemas[_name(schema)]["properties"]
    if "items" in properties:
        properties = schemas[_name(properties["items"]["items"])]["properties"]
    return {name: field.get("description", "") for name, field in properties.items()}


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _valid(schema: dict[str, Any]) -> list[str]:
    """The valid values of a parameter that is an enumeration."""
    return next((each["enum"] for each in (schema, *schema.get("anyOf", ())) if "enum" in each), [])
