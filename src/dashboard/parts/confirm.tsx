/** A question before something that cannot be taken back. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import { Problem } from "./page.tsx";

export interface ConfirmButtonProps {
  /** On the button, and on that which confirms. */
  readonly label: string;
  readonly title: string;
  /** What will happen. */
  readonly children: ReactNode;
  readonly onConfirm: () => Promise<unknown>;
  readonly danger?: boolean;
  readonly disabled?: boolean;
}

/** A button that asks before it acts, and says so if that fails. */
export function ConfirmButton(props: ConfirmButtonProps): ReactNode {
  const { label, danger = false, disabled = false } = props;
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className={danger ? "danger" : undefined}
        disabled={disabled}
        onClick={() => setOpen(true)}
      >
        {label}
      </button>
      {isOpen ? <ConfirmDialog {...props} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

function ConfirmDialog({
  label,
  title,
  children,
  onConfirm,
  danger = false,
  onClose,
}: ConfirmButtonProps & { readonly onClose: () => void }): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="confirm-title">
      <div className="stack">
        <h2 id="confirm-title">{title}</h2>
        <div>{children}</div>
        {error === null ? null : <Problem error={error} />}
        <div className="row">
          <button type="button" className={danger ? "danger" : "primary"} disabled={isBusy} onClick={confirm}>
            {label}
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            Back
          </button>
        </div>
      </div>
    </dialog>
  );
}
