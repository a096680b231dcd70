// The body that Ory Kratos posts to sixdigit's /hooks/kratos.
// In Kratos' config: courier.channels[].request_config.body: file:///…/kratos.jsonnet
function(ctx)
  local data = if std.objectHas(ctx, 'template_data') && std.isObject(ctx.template_data) then ctx.template_data else {};
  local at(object, name) = if std.isObject(object) && std.objectHas(object, name) then object[name] else null;
  local first(values) =
    local given = [v for v in values if std.isString(v) && v != ''];
    if std.length(given) > 0 then given[0] else null;
  {
    to: ctx.recipient,
    code: first([at(data, name) for name in ['login_code', 'registration_code', 'verification_code', 'recovery_code']]),
    template_type: ctx.template_type,
    message_type: at(ctx, 'message_type'),
    // The language: from the flow's transient_payload, or a trait of the identity.
    // A person may have written it: what is longer than any language tag is left out.
    locale: first([
      v
      for v in [at(at(data, 'transient_payload'), 'locale'), at(at(at(data, 'identity'), 'traits'), 'locale')]
      if std.isString(v) && std.length(v) <= 64
    ]),
  }
