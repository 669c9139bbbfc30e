/** Fields of forms, each with its label. */
import type { LooseInputHTMLAttributes } from 'preact';

interface CheckProps {
  readonly label: string;
  readonly isOn: boolean;
  readonly isDisabled?: boolean;
  readonly onChange: (isOn: boolean) => void;
}

export function Check({ label, isOn, isDisabled = false, onChange }: CheckProps) {
  return (
    <label class="row check">
      <input
        type="checkbox"
        checked={isOn}
        disabled={isDisabled}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      {label}
    </label>
  );
}

interface TextProps
  extends Pick<
    LooseInputHTMLAttributes,
    'max' | 'maxLength' | 'min' | 'required' | 'spellcheck' | 'step'
  > {
  readonly label: string;
  readonly type?: 'text' | 'number';
  readonly value: string;
  readonly onText: (text: string) => void;
}

export function TextField({ label, onText, type = 'text', ...input }: TextProps) {
  return (
    <label class="field">
      {label}
      <input
        {...(type === 'number' ? { type } : { type })}
        {...input}
        onInput={({ currentTarget }) => onText(currentTarget.value)}
      />
    </label>
  );
}

interface SelectProps<T> {
  /** The label, unless there is one around it. */
  readonly label?: string;
  readonly value: T;
  readonly options: readonly (readonly [value: T, text: string])[];
  readonly isDisabled?: boolean;
  readonly onChoose: (value: T) => void;
}

/** Shows a choice; undefined is the value of an option for all or none. */
export function Select<T extends string | number | undefined>(props: SelectProps<T>) {
  const { label, value, options, isDisabled = false, onChoose } = props;
  const keyed = options.map(([one, text]) => ({ one, text, key: String(one ?? '') }));
  return (
    <select
      aria-label={label}
      value={value ?? ''}
      disabled={isDisabled}
      onChange={({ currentTarget }) => {
        const chosen = keyed.find(({ key }) => key === currentTarget.value);
        if (chosen !== undefined) onChoose(chosen.one);
      }}
    >
      {keyed.map(({ text, key }) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}
