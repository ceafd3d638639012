/** The OpenAPI 3.1 document of the host's API, made from the routes. Pure. */
import type { Route } from "./host_routes.ts";
import type { Param } from "./params.ts";

const MEDIA: Readonly<Record<string, string>> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv",
  text: "text/plain",
  "event-stream": "text/event-stream",
};

function schemaOf({ kind, min, max, choices, default: standard }: Param): Record<string, unknown> {
  const base = standard === undefined ? {} : { default: standard };
  switch (kind) {
    case "integer":
      return {
        type: "integer",
        minimum: min ?? 0,
        ...(max === undefined ? {} : { maximum: max }),
        ...base,
      };
    case "flag":
      return { type: "string", enum: ["0", "1"], default: "0" };
    case "choice":
      return { type: "string", enum: choices, ...base };
    case "time":
      return { type: "string", examples: ["1763900000000", "2026-11-24T10:00:00Z", "-15m"] };
    case "text":
      return { type: "string", maxLength: max ?? 200, ...base };
  }
}

function operationOf(name: string, route: Route): Record<string, unknown> {
  const media = route.formats ?? ["json"];
  const error = {
    description: "What is wrong, in one line.",
    content: {
      "application/json": {
        schema: { type: "object", properties: { error: { type: "string" } }, required: ["error"] },
      },
    },
  };
  return {
    operationId: name,
    summary: route.summary,
    parameters: Object.entries(route.params).map(([key, param]) => ({
      name: key,
      in: param.in,
      required: param.required === true,
      description: param.help,
      schema: schemaOf(param),
    })),
    ...(route.body === undefined ? {} : {
      requestBody: { required: true, content: { "application/json": { schema: route.body } } },
    }),
    responses: {
      200: {
        description: route.summary,
        content: Object.fromEntries(
          media.map((format) => [
            MEDIA[format]!,
            { schema: format === "json" ? route.answer : { type: "string" } },
          ]),
        ),
      },
      default: error,
    },
    ...(route.role === undefined ? {} : {
      security: [{ token: [] }],
      "x-role": route.role,
    }),
  };
}

/** The document; `version` is the program's. */
export function openApi(
  routes: Readonly<Record<string, Route>>,
  version: string,
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries(routes)) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method]: operationOf(name, route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Holdfast host", version, license: { name: "MIT", identifier: "MIT" } },
    paths,
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description:
            "From host token create, or the setting http_token. On loopback none is needed while there is none.",
        },
      },
    },
  };
}
