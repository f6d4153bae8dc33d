using Evident.Ingest;

namespace Evident.Store;

/// <summary>Something that a run is found by and may have several of. <c>Kind</c> is one of the letters here.</summary>
internal sealed record RunFacet(string Kind, string Value)
{
    public const string Tool = "t", Model = "m", Agent = "g", SideEffect = "s", Approval = "a", ErrorClass = "e", Flag = "f";

    private const int MaxOfKind = 200;

    public static HashSet<RunFacet> Of(RunSummary summary)
    {
        var facets = new HashSet<RunFacet>();
        var view = summary.View;
        foreach (var tool in view.Tools)
        {
            facets.Add(new RunFacet(Tool, tool.Name));
        }

        foreach (string model in view.Models)
        {
            facets.Add(new RunFacet(Model, model));
        }

        foreach (string flag in view.Flags)
        {
            facets.Add(new RunFacet(Flag, flag));
        }

        int agents = 0, errors = 0;
        foreach (var span in summary.Spans)
        {
            if (span.Kind == StepKind.Tool)
            {
                facets.Add(new RunFacet(SideEffect, summary.LevelOf(span).ToName()));
            }

            if (span.Text(Field.AgentName) is { Length: > 0 } agent && agents < MaxOfKind)
            {
                agents += facets.Add(new RunFacet(Agent, agent)) ? 1 : 0;
            }

            if (span.Text(Field.ErrorClass) is { Length: > 0 } error && errors < MaxOfKind)
            {
                errors += facets.Add(new RunFacet(ErrorClass, error)) ? 1 : 0;
            }
        }

        var approvals = view.Approvals;
        void State(string name, int count)
        {
            if (count > 0)
            {
                facets.Add(new RunFacet(Approval, name));
            }
        }

        State("requested", approvals.Requested);
        State("approved", approvals.Approved);
        State("rejected", approvals.Rejected);
        State("expired", approvals.Expired);
        State("waiting", approvals.Waiting);
        return facets;
    }
}
