using System.Text.Json;
using Evident.Platform;
using Evident.Store;

namespace Evident.Control;

/// <summary>What a debug command says beside the id and the reason: the wish of <c>debug.request</c>, the word of the approver of <c>debug.approve</c>.</summary>
internal sealed record DebugOrder(DebugWish? Wish = null, bool SingleOperator = false);

/// <summary>Debug sessions over the control socket: asked for, approved, closed, listed. The peer's uid is the actor.</summary>
internal static class DebugOperation
{
    public static void Write(Utf8JsonWriter json, DebugOrder? order)
    {
        if (order is null)
        {
            return;
        }

        json.WriteStartObject("debug"u8);
        json.WriteBoolean("single_operator"u8, order.SingleOperator);
        if (order.Wish is { } wish)
        {
            json.WriteString("tenant"u8, wish.Tenant);
            json.WriteString("workflow"u8, wish.Workflow);
            json.WriteNumber("minutes"u8, wish.Minutes);
            if (wish.Environment is not null)
            {
                json.WriteString("environment"u8, wish.Environment);
            }
        }

        json.WriteEndObject();
    }

    /// <summary>Null when there is none.</summary>
    public static DebugOrder? Parse(JsonElement root)
    {
        if (!root.TryGetProperty("debug", out JsonElement order) || order.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        DebugWish? wish = Operation.Text(order, "tenant") is { } tenant && Operation.Text(order, "workflow") is { } workflow
            && order.TryGetProperty("minutes", out JsonElement minutes) && minutes.ValueKind == JsonValueKind.Number && minutes.TryGetInt32(out int number)
                ? new DebugWish(tenant, workflow, Operation.Text(order, "environment"), number)
                : null;
        return new DebugOrder(wish, order.TryGetProperty("single_operator", out JsonElement single) && single.ValueKind == JsonValueKind.True);
    }

    public static async Task<Reply> RunAsync(EvidentStore store, Operation operation, Actor actor, CancellationToken cancel)
    {
        try
        {
            switch (operation.Name)
            {
                case Operation.DebugList:
                    return Reply.Done(json =>
                    {
                        json.WriteStartArray("sessions"u8);
                        foreach (DebugSession session in store.DebugSessions)
                        {
                            json.WriteStartObject();
                            Write(json, session);
                            json.WriteEndObject();
                        }

                        json.WriteEndArray();
                    });
                case Operation.DebugRequest when operation.Debug?.Wish is { } wish && operation.Reason is { Length: <= Operation.MaxReasonChars } reason:
                    return Told(await store.RequestDebugAsync(wish, reason, actor, cancel));
                case Operation.DebugApprove when operation.Reference is { Length: <= Operation.MaxReferenceChars } id:
                    return Told(await store.ApproveDebugAsync(id, operation.Debug?.SingleOperator == true, actor, cancel));
                case Operation.DebugClose when operation.Reference is { Length: <= Operation.MaxReferenceChars } id:
                    return Told(await store.CloseDebugAsync(id, actor, cancel));
                default:
                    return Reply.Refused($"{operation.Name} needs the id of a session, or a tenant, a workflow, minutes and a reason.");
            }
        }
        catch (Exception e) when (e is DebugRefusedException or StoreStoppedException or QueueFullException)
        {
            return Reply.Refused($"{operation.Name.Replace('.', ' ')} was refused: {e.Message}");
        }
    }

    private static Reply Told(DebugSession session) => Reply.Done(json => Write(json, session));

    private static void Write(Utf8JsonWriter json, DebugSession session)
    {
        json.WriteString("id"u8, session.Id);
        json.WriteString("state"u8, session.IsOpen ? "open" : "requested");
        json.WriteString("tenant"u8, session.Wish.Tenant);
        json.WriteString("workflow"u8, session.Wish.Workflow);
        json.WriteString("environment"u8, session.Wish.Environment);
        json.WriteNumber("minutes"u8, session.Wish.Minutes);
        json.WriteString("reason"u8, session.Reason);
        json.WriteString("requested_by"u8, $"{session.RequestedBy.Kind} {session.RequestedBy.Id}");
        json.WriteString("requested"u8, Rfc3339.FormatMillis(session.Requested));
        if (session.ApprovedBy is { } approver)
        {
            json.WriteString("approved_by"u8, $"{approver.Kind} {approver.Id}");
            json.WriteBoolean("single_operator"u8, session.SingleOperator);
            json.WriteString("opened"u8, Rfc3339.FormatMillis(session.Opened!.Value));
            json.WriteString("until"u8, Rfc3339.FormatMillis(session.Until!.Value));
        }
    }
}
