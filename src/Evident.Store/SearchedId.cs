using System.Text;
using Evident.Ingest;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// What an id that somebody searches for may be stored as. The content gate keeps clean ids and replaces others by a pseudonym under the key of their
/// scope; the searcher has the id as it was sent ("Ticket 9421") and does not know the scope.
/// </summary>
internal sealed class SearchedId(VaultStore vault, string workspace)
{
    /// <summary>The prefixes of <see cref="Pseudonym"/> for run and session ids, and for tenants.</summary>
    public const string Identifier = "k_", Tenant = "t_";

    /// <summary>The id itself and, where it cannot stand as it is, its pseudonym in each scope (one HMAC each; scopes are capped).</summary>
    public IReadOnlyList<string> Forms(string sent, string prefix)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(sent);
        return LedgerText.IsClean(utf8)
            ? [sent]
            : [sent, .. vault.Scopes(workspace).Select(scope => Pseudonym.Of(scope.PseudonymKey, prefix, utf8))];
    }
}
