using Evident.Platform;
using Evident.Store;
using Evident.Vault;

namespace Evident.Control;

/// <summary>What the running appliance answers: sealing and unsealing itself, everything else by its store while it is open.</summary>
internal sealed class ApplianceOperations(ApplianceStore appliance)
{
    public const string Seal = "vault.seal", Unseal = "vault.unseal";

    public async Task<Reply> RunAsync(Operation operation, Actor actor, CancellationToken cancel)
    {
        try
        {
            switch (operation.Name)
            {
                case Seal:
                    await appliance.SealAsync(actor);
                    return Sealed();
                case Unseal:
                    await UnsealAsync(operation, actor);
                    return Reply.Done(json => json.WriteString("state"u8, "open"));
            }
        }
        catch (RefusedException e)
        {
            return Reply.Refused(e.Message, e.ExitCode);
        }
        catch (Exception e) when (e is StoreStoppedException or QueueFullException)
        {
            return Reply.Refused($"{operation.Name} was refused: {e.Message}");
        }

        using StoreUse use = appliance.Door.Enter();
        return appliance.Door.Current is { } store ? await new Operations(store).RunAsync(operation, actor, cancel)
            : operation.Name is Operation.VaultStatus or Operation.Status ? Sealed()
            : Reply.Refused(new StoreSealedException().Message);
    }

    private Task UnsealAsync(Operation operation, Actor actor)
    {
        if (operation.Secret is not { Length: > 0 and <= Passphrases.MaxBytes } given)
        {
            throw new RefusedException($"{Unseal} needs a passphrase of 1 to {Passphrases.MaxBytes} bytes.");
        }

        return UnsealAsync(SecretBytes.CopyAndZero(given), actor);
    }

    private async Task UnsealAsync(SecretBytes passphrase, Actor actor)
    {
        using (passphrase)
        {
            await appliance.UnsealAsync(passphrase, actor);
        }
    }

    private static Reply Sealed() => Reply.Done(json => json.WriteString("state"u8, "sealed"));
}
